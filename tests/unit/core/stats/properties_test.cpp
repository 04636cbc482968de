#include "core/stats/absolute.hpp"
#include "core/stats/asymptotic_mean.hpp"
#include "core/stats/balance.hpp"
#include "core/stats/bounded_mean.hpp"
#include "core/stats/drift.hpp"
#include "core/stats/odds_ratio.hpp"
#include "core/stats/rank_gate.hpp"
#include "core/stats/sketch.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

// Laws that hold for every input. A failure prints the smallest counterexample and its seed (RC_PARAMS replays it).
using namespace fleet::stats;

namespace {

constexpr std::int64_t kBillion = 1'000'000'000;
/// Expectations are exact sums of doubles; this is what their rounding may come to.
constexpr double kRounding = 1e-8;

double share() { return *rc::gen::inRange(1, 1'000) / 1'000.; }
/// Small ones as often as any.
std::int64_t number(std::int64_t most) {
  return *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(0, std::min<std::int64_t>(most, 50) + 1), rc::gen::inRange<std::int64_t>(0, most + 1));
}
Tally tally(std::int64_t most) {
  auto const devices = number(most);
  return {number(devices), devices};
}
/// Shares, with their ends.
std::vector<double> values() {
  std::vector<double> out;
  for (int const x : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1'001))) out.push_back(x / 1'000.);
  return out;
}
std::vector<double> shuffled(std::vector<double> xs) {
  for (std::size_t i = xs.size(); i > 1; --i) std::swap(xs[i - 1], xs[*rc::gen::inRange<std::size_t>(0, i)]);
  return xs;
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * (1 + std::max(std::abs(a), std::abs(b))); }
bool near(std::vector<double> const& a, std::vector<double> const& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return near(x, y); });
}

/// The expectation of `f(k)` over k of n with probability p each.
template <class F>
double expected(int n, double p, F const& f) {
  double sum = 0, log_ways = 0;
  for (int k = 0; k <= n; ++k) {
    sum += std::exp(log_ways + k * std::log(p) + (n - k) * std::log1p(-p) + f(k));
    log_ways += std::log(static_cast<double>(n - k)) - std::log(k + 1.);
  }
  return sum;
}

template <class F>
void law(std::string const& name, F const& f) {
  CAPTURE(name);
  CHECK(rc::check(name, f));
}

RankGate ranks(std::vector<double> const& xs) {
  RankGate out(.02);
  for (double const x : xs) out.add(x - .5);
  return out;
}
BoundedMean mean(std::vector<double> const& xs) {
  BoundedMean out({0, 1, .9});
  for (double const x : xs) out.add(x);
  return out;
}
AsymptoticMean sums(std::vector<double> const& xs) {
  AsymptoticMean out;
  for (double const x : xs) out.add(x);
  return out;
}
Sketch sketch(std::vector<double> const& xs) {
  Sketch out;
  for (double const x : xs) out.add(x);
  return out;
}
template <class T>
T merged(T a, T const& b) {
  a.merge(b);
  return a;
}
std::vector<double> state(RankGate const& x) { return x.logs(); }
std::vector<double> state(BoundedMean const& x) { return x.logs(); }
std::vector<double> state(AsymptoticMean const& x) { return {static_cast<double>(x.sums().count), x.sums().mean, x.sums().squares}; }
std::vector<double> state(Sketch const& x) {
  std::vector<double> out;
  for (auto const& [key, count] : x.buckets()) out.push_back(key), out.push_back(static_cast<double>(count));
  return out;
}

template <class F>
void merges(std::string const& what, F const& of) {
  law(what + ": merging is associative and commutative, an empty part changes nothing", [&of] {
    auto const a = of(values()), b = of(values()), c = of(values());
    RC_ASSERT(near(state(merged(merged(a, b), c)), state(merged(a, merged(b, c)))));
    RC_ASSERT(near(state(merged(a, b)), state(merged(b, a))));
    RC_ASSERT(near(state(merged(a, of({}))), state(a)));
  });
  law(what + ": the order of reports does not matter, nor where they are cut", [&of] {
    auto const all = values(), other = shuffled(all);
    auto const cut = all.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(all) + 1);
    RC_ASSERT(near(state(of(all)), state(of(other))));
    RC_ASSERT(near(state(of(all)), state(merged(of({all.begin(), cut}), of({cut, all.end()})))));
  });
}

}  // namespace

TEST_CASE("parts merge into the whole, whatever the order") {
  merges("rank gate", ranks);
  merges("bounded mean", mean);
  merges("asymptotic mean", sums);
  merges("sketch", sketch);
}

TEST_CASE("under the null, evidence on shares is at most 1 in expectation") {
  law("harm, p <= p0", [] {
    double const p0 = share(), p = p0 * share();
    int const n = *rc::gen::inRange(1, 120);
    RC_ASSERT(expected(n, p0, [&](int k) { return harm({k, n}, p0).log_e; }) <= 1 + kRounding);
    RC_ASSERT(expected(n, p, [&](int k) { return harm({k, n}, p0).log_e; }) <= 1 + kRounding);
  });
  law("certify, p >= pm", [] {
    double const pm = share(), p = pm + (1 - pm) * share();
    int const n = *rc::gen::inRange(1, 120);
    RC_ASSERT(expected(n, pm, [&](int k) { return certify({k, n}, pm).log_e; }) <= 1 + kRounding);
    RC_ASSERT(expected(n, p, [&](int k) { return certify({k, n}, pm).log_e; }) <= 1 + kRounding);
  });
  law("imbalance, as planned", [] {
    double const planned = share();
    int const n = *rc::gen::inRange(1, 120);
    RC_ASSERT(std::abs(expected(n, planned, [&](int k) { return imbalance({k, n - k}, planned).log_e; }) - 1) <= kRounding);
  });
  law("odds ratio, two binomial arms that fail alike", [] {
    double const p = share();
    int const canaries = *rc::gen::inRange(1, 12), controls = *rc::gen::inRange(1, 25);
    constexpr std::array kGrid{1.5, 2., 3., 5., 8., 13., 20., 50.};
    double const e = expected(canaries, p, [&](int k) {
      return std::log(expected(controls, p, [&](int x) {
        std::vector<double> logs;
        for (double const w : kGrid) logs.push_back(log_likelihood({{k, canaries}, {x, controls}}, w));
        return worse_than(kGrid, logs, 1, 0).log_e;
      }));
    });
    RC_ASSERT(std::abs(e - 1) <= kRounding);
  });
}

TEST_CASE("under the null, evidence on values is at most 1 in expectation") {
  law("bounded mean: two values around the bound", [] {
    double const bound = share(), low = bound * (1 - share()), high = bound + (1 - bound) * share();
    double const p = (bound - low) / (high - low);  // of the high one
    int const n = *rc::gen::inRange(1, 60);
    auto const of = [&](int k) {
      BoundedMean out({0, 1, bound});
      out.add(high, k), out.add(low, n - k);
      return out;
    };
    RC_ASSERT(expected(n, p, [&](int k) { return of(k).below().log_e; }) <= 1 + kRounding);
    RC_ASSERT(expected(n, p, [&](int k) { return of(k).above().log_e; }) <= 1 + kRounding);
    double const better = p + (1 - p) * share();  // means above the bound are no evidence that it lies below
    RC_ASSERT(expected(n, better, [&](int k) { return of(k).below().log_e; }) <= 1 + kRounding);
  });
  law("rank gate: a canary like its k controls has any rank alike", [] {
    int const k = *rc::gen::inRange(1, 8);
    double const margin = *rc::gen::inRange(0, 400) / 1'000.;
    double two = 0;
    for (int first = 0; first <= k; ++first)
      for (int second = 0; second <= k; ++second) {
        RankGate gate(margin);
        gate.add(first / static_cast<double>(k) - .5), gate.add(second / static_cast<double>(k) - .5);
        two += gate.evidence().e_value() / ((k + 1) * (k + 1));
      }
    RC_ASSERT(two <= 1 + kRounding);
  });
  law("drift: canary and control change places alike often", [] {
    auto const a = values(), b = values();
    std::size_t const bins = std::min(a.size(), b.size());
    RC_PRE(bins > 0);
    std::span const left(a.data(), bins), right(b.data(), bins);
    double four = 0;
    for (int sides = 0; sides < 4; ++sides) {
      Drift drift(bins);
      for (int const side : {sides & 1, sides & 2}) side != 0 ? drift.add(left, right) : drift.add(right, left);
      four += drift.evidence().e_value() / 4;
    }
    RC_ASSERT(four <= 1 + kRounding);
  });
}

TEST_CASE("nothing overflows, and what is plain is decided") {
  law("evidence on any counts up to a billion is finite", [] {
    auto const canary = tally(kBillion), control = tally(kBillion);
    double const p = *rc::gen::oneOf(rc::gen::inRange(1, 1'000), rc::gen::just(1)) / *rc::gen::element(1'000., 1e6, 1e9);
    for (double const log_e : {harm(canary, p).log_e, certify(canary, p).log_e, imbalance({canary.bad, control.bad}, p).log_e,
                               log_likelihood({canary, control}, 5), log_likelihood({canary, control}, .7)})
      RC_ASSERT(std::isfinite(log_e));
    RC_ASSERT(std::isfinite(harm(canary, p).e_value()));
  });
  law("a share well above p0 in many devices is harm, well below it is none", [] {
    double const p0 = share() / 2;
    auto const devices = *rc::gen::inRange<std::int64_t>(100'000'000, kBillion + 1);
    auto const at = [&](double p) { return Tally{static_cast<std::int64_t>(p * static_cast<double>(devices)), devices}; };
    RC_ASSERT(harm(at(1.2 * p0), p0).reaches(1e6));
    RC_ASSERT(harm(at(.8 * p0), p0).log_e < 0);
    RC_ASSERT(harm(at(.8 * p0), p0).log_e > -60);  // and never so sunk that harm could not show itself later
    RC_ASSERT(certify(at(.5 * p0), p0).reaches(1e6));  // of its alternatives the nearest; from .72 of the share on, it never certifies
  });
  law("one more bad device is never less evidence of harm, never more for a certificate", [] {
    auto const some = tally(1'000'000);
    RC_PRE(some.bad < some.devices);
    double const p = share();
    double const rounding = 1e-9 * (1 + static_cast<double>(some.devices));
    Tally const more{some.bad + 1, some.devices};
    RC_ASSERT(harm(more, p).log_e >= harm(some, p).log_e - rounding);
    RC_ASSERT(certify(more, p).log_e <= certify(some, p).log_e + rounding);
  });
  law("trips_at is the fewest", [] {
    auto const devices = *rc::gen::inRange<std::int64_t>(1, 100'000);
    double const p0 = share(), alpha = *rc::gen::element(.01, .003, .001);
    auto const trips = trips_at(devices, p0, alpha);
    RC_ASSERT(trips.has_value() == harm({devices, devices}, p0).reaches(1 / alpha));
    if (!trips) return;
    RC_ASSERT(harm({*trips, devices}, p0).reaches(1 / alpha));
    RC_ASSERT(!harm({*trips - 1, devices}, p0).reaches(1 / alpha));
  });
}
