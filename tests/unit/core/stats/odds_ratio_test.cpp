#include "core/stats/odds_ratio.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

using namespace fleet::stats;

namespace {

constexpr std::array kHarm{1.5, 2., 3., 5., 8., 13., 20., 50.};
constexpr std::array kSafe{.7, 1., 1.4};

double choose(int n, int k) { return std::round(std::exp(std::lgamma(n + 1.) - std::lgamma(k + 1.) - std::lgamma(n - k + 1.))); }

/// Calls `visit(table, probability)` for each table of these margins under the odds ratio `w`, by enumeration.
void each_table(int canaries, int controls, int failures, double w, std::function<void(Table const&, double)> const& visit) {
  int const low = std::max(0, failures - controls), high = std::min(canaries, failures);
  double z = 0;
  for (int j = low; j <= high; ++j) z += choose(canaries, j) * choose(controls, failures - j) * std::pow(w, j);
  for (int j = low; j <= high; ++j)
    visit({{j, canaries}, {failures - j, controls}}, choose(canaries, j) * choose(controls, failures - j) * std::pow(w, j) / z);
}

std::vector<double> sums(std::span<double const> alternatives, std::span<Table const> tables) {
  std::vector<double> out;
  for (double const w : alternatives)
    out.push_back(std::accumulate(tables.begin(), tables.end(), 0., [w](double sum, Table const& table) { return sum + log_likelihood(table, w); }));
  return out;
}

double log_sum(std::span<Table const> tables, double w) { return sums(std::array{w}, tables).front(); }

}  // namespace

TEST_CASE("one table by scipy: ten canaries, three of them among five failures of a hundred") {
  Table const table{{3, 10}, {2, 90}};
  CHECK(std::exp(log_likelihood(table, 5)) == doctest::Approx(24.992619).epsilon(1e-7));
  CHECK(log_likelihood(table, 1) == 0);
  double const w0 = 2;
  CHECK(log_likelihood(table, 5) - log_likelihood(table, w0) == doctest::Approx(3 * std::log(2.5) - [] {
          double five = 0, two = 0;
          for (int j = 0; j <= 5; ++j) {
            double const ways = choose(10, j) * choose(90, 5 - j);
            five += ways * std::pow(5, j), two += ways * std::pow(2, j);
          }
          return std::log(five / two);
        }()));
}

TEST_CASE("at the boundary the evidence is 1 in expectation, for every small table, by enumeration") {
  for (int const canaries : {1, 2, 5, 9})
    for (int const controls : {1, 4, 20})
      for (int failures = 0; failures <= canaries + controls; ++failures)
        for (double const w0 : {.5, 1., 1.5, 5.}) {
          CAPTURE(canaries);
          CAPTURE(controls);
          CAPTURE(failures);
          CAPTURE(w0);
          double worse = 0, better = 0;
          each_table(canaries, controls, failures, w0, [&](Table const& table, double probability) {
            std::array const tables{table};
            worse += probability * worse_than(kHarm, sums(kHarm, tables), w0, log_likelihood(table, w0)).e_value();
            better += probability * better_than(kSafe, sums(kSafe, tables), w0, log_likelihood(table, w0)).e_value();
          });
          CHECK(worse == doctest::Approx(1).epsilon(1e-9));
          CHECK(better == doctest::Approx(1).epsilon(1e-9));
        }
}

TEST_CASE("inside the hypothesis it is at most 1 in expectation") {
  for (double const w : {.2, .6, .99, 1.}) {
    double mean = 0;
    each_table(6, 30, 8, w, [&](Table const& table, double probability) {
      mean += probability * worse_than(kHarm, sums(kHarm, std::array{table}), 1, 0).e_value();
    });
    CHECK(mean <= 1 + 1e-9);
  }
  for (double const w : {5., 7., 20.}) {
    double mean = 0;
    each_table(6, 30, 8, w, [&](Table const& table, double probability) {
      mean += probability * better_than(kSafe, sums(kSafe, std::array{table}), 5, log_likelihood(table, 5)).e_value();
    });
    CHECK(mean <= 1 + 1e-9);
  }
}

TEST_CASE("a table that cannot tell the arms apart says nothing") {
  for (auto const& table : {Table{{0, 10}, {0, 90}}, {{10, 10}, {90, 90}}, {{3, 10}, {0, 0}}, {{0, 0}, {7, 90}}, {{0, 0}, {0, 0}}})
    for (double const w : {.1, 1., 50.}) CHECK(log_likelihood(table, w) == 0);
}

TEST_CASE("windows in any order, and sums of sums, give the same evidence") {
  std::array const tables{Table{{3, 10}, {2, 90}}, Table{{0, 5}, {4, 60}}, Table{{1, 1}, {0, 9}}, Table{{40, 400}, {40, 3'600}}};
  std::array const reversed{tables[3], tables[2], tables[1], tables[0]};
  auto const whole = worse_than(kHarm, sums(kHarm, tables), 1.5, log_sum(tables, 1.5));
  CHECK(worse_than(kHarm, sums(kHarm, reversed), 1.5, log_sum(reversed, 1.5)).log_e == doctest::Approx(whole.log_e));
  auto const head = sums(kHarm, std::span(tables).first(2)), tail = sums(kHarm, std::span(tables).last(2));
  std::vector<double> both(kHarm.size());
  for (std::size_t i = 0; i < both.size(); ++i) both[i] = head[i] + tail[i];
  CHECK(worse_than(kHarm, both, 1.5, log_sum(std::span(tables).first(2), 1.5) + log_sum(std::span(tables).last(2), 1.5)).log_e == doctest::Approx(whole.log_e));
}

TEST_CASE("alternatives on the hypothesis' own side are left out") {
  std::array const grid{.5, 1., 2.}, values{100., 100., 0.};
  CHECK(worse_than(grid, values, 1, 0).log_e == doctest::Approx(0));
  CHECK(better_than(grid, values, 1, 0).log_e == doctest::Approx(100));
  CHECK(worse_than(std::array{.5}, std::array{100.}, 1, 0).log_e == 0);
}

TEST_CASE("three canaries of three fail beside nine controls each: the floor of evidence, below 10 each") {
  std::array const tables{Table{{1, 1}, {0, 9}}, Table{{1, 1}, {0, 9}}, Table{{1, 1}, {0, 9}}};
  for (std::size_t k = 1; k <= 3; ++k) {
    auto const evidence = worse_than(std::array{3., 10., 50., 500.}, sums(std::array{3., 10., 50., 500.}, std::span(tables).first(k)), 1, 0);
    CHECK(evidence.e_value() < std::pow(10, k));
    CHECK(evidence.e_value() > std::pow(3, k));
  }
}

TEST_CASE("a billion devices: finite, of the right sign, and it decides") {
  constexpr std::int64_t kMany = 1'000'000'000;
  struct Case {
    Table table;
    int sign;  // of log S at w = 5 against 1
  };
  for (auto const& c : {Case{{{kMany / 20, kMany}, {kMany / 100, kMany}}, 1},
                        Case{{{kMany / 100, kMany}, {kMany / 100, kMany}}, -1},
                        Case{{{kMany, kMany}, {0, kMany}}, 1},
                        Case{{{0, kMany}, {kMany, kMany}}, -1},
                        Case{{{1, 1}, {0, kMany}}, 1},
                        Case{{{0, kMany}, {1, 1}}, -1},
                        Case{{{kMany - 1, kMany}, {kMany, kMany}}, -1}}) {
    double const log_s = log_likelihood(c.table, 5);
    CAPTURE(c.table.canary.bad);
    CAPTURE(c.table.control.bad);
    CHECK(std::isfinite(log_s));
    CHECK(log_s * c.sign > 0);
  }
  CHECK(log_likelihood({{kMany, kMany}, {0, kMany}}, 5) > 1e8);
  CHECK(log_likelihood({{1, 1}, {0, kMany}}, 5) == doctest::Approx(std::log(5)).epsilon(1e-6));
  for (double const w : {1e-9, .7, 500., 1e9}) CHECK(std::isfinite(log_likelihood({{10, 1'000}, {10, kMany}}, w)));
}
