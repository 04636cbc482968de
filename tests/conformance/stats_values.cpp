// Answers core/stats' numbers to a peer: reads lines `{"f": NAME, "args": [NUMBER | [NUMBER...]...]}`, writes one number a line. See stats_peers.py.
#include "core/stats/absolute.hpp"
#include "core/stats/asymptotic_mean.hpp"
#include "core/stats/balance.hpp"
#include "core/stats/bounded_mean.hpp"
#include "core/stats/boundaries.hpp"
#include "core/stats/odds_ratio.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

namespace json = boost::json;
using namespace fleet::stats;

struct Args {
  json::array const& values;
  [[nodiscard]] double operator[](std::size_t i) const { return values.at(i).to_number<double>(); }
  [[nodiscard]] std::int64_t count(std::size_t i) const { return values.at(i).to_number<std::int64_t>(); }
  [[nodiscard]] std::vector<double> list(std::size_t i) const { return json::value_to<std::vector<double>>(values.at(i)); }
};

BoundedMean mean_of(Args const& a) {
  BoundedMean mean({a[1], a[2], a[3]});
  for (double const x : a.list(0)) mean.add(x);
  return mean;
}

double blocks_to_show_below(Args const& a) {
  BoundedMean mean({a[1], a[2], a[3]});
  double n = 0;
  for (double const x : a.list(0)) {
    mean.add(x), ++n;
    if (mean.shows_below(a[4])) break;
  }
  return n;
}

std::map<std::string, std::function<double(Args const&)>> const kFunctions{
    {"harm", [](Args const& a) { return harm({a.count(0), a.count(1)}, a[2]).log_e; }},
    {"log_likelihood", [](Args const& a) { return log_likelihood({{a.count(0), a.count(1)}, {a.count(2), a.count(3)}}, a[4]); }},
    {"imbalance", [](Args const& a) { return imbalance({a.count(0), a.count(1)}, a[2]).log_e; }},
    {"bounded_below", [](Args const& a) { return mean_of(a).below().log_e; }},
    {"bounded_above", [](Args const& a) { return mean_of(a).above().log_e; }},
    {"blocks_to_show_below", blocks_to_show_below},
    {"two_sided_halfwidth", [](Args const& a) { return two_sided_halfwidth(a[0], a[1], a[2], a[3]); }},
    {"two_sided_normal", [](Args const& a) { return two_sided_normal(a[0], a[1], {a[2], a[3]}); }},
    {"one_sided_normal", [](Args const& a) { return one_sided_normal(a[0], a[1], {a[2], a[3]}); }},
    {"two_sided_normal_bound", [](Args const& a) { return two_sided_normal_bound(a[0], a[1], {a[2], a[3]}); }},
    {"one_sided_beta_binomial", [](Args const& a) { return one_sided_beta_binomial(a[0], a[1], a[3], a[4], {a[2], a[5]}); }},
    {"one_sided_beta_binomial_bound", [](Args const& a) { return one_sided_beta_binomial_bound(a[0], a[1], a[3], a[4], {a[2], a[5]}); }},
    {"gamma_exponential_bound", [](Args const& a) { return gamma_exponential_bound(a[0], a[1], a[3], {a[2], a[4]}); }},
    {"poly_stitching_bound", [](Args const& a) { return poly_stitching_bound(a[0], a[1], a[2], a[3]); }},
    {"bernoulli_low", [](Args const& a) { return bernoulli_interval(a[0], a[1], a[2], a[3]).low; }},
    {"bernoulli_high", [](Args const& a) { return bernoulli_interval(a[0], a[1], a[2], a[3]).high; }},
};

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    auto const question = json::parse(line);
    auto const& name = question.at("f").as_string();
    auto const& args = question.at("args").as_array();
    std::cout << fmt::format("{:.17g}\n", kFunctions.at(std::string(name))(Args{args}));
  }
}
