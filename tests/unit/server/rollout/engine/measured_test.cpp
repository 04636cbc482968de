#include "server/rollout/engine/measured.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

using namespace fleet;
using namespace fleet::rollout;

namespace {

wire::MetricsItem::Metric metric(std::initializer_list<double> values) {
  wire::MetricsItem::Metric out{"latency_ms", "d", 0, 0, 0, 0, {}};
  stats::Sketch sketch;
  for (double const value : values) {
    ++out.count;
    out.sum += value;
    sketch.add(value);
  }
  out.buckets = sketch.buckets();
  return out;
}
MetricGate at(double quantile) {
  MetricGate gate;
  gate.quantile = quantile;
  return gate;
}

}  // namespace

TEST_CASE("a device's value is the mean of its samples, or the quantile that the gate names") {
  DeviceSummary summary;
  CHECK_FALSE(value_of(summary, {}).has_value());
  CHECK_FALSE(value_of(summary, at(.5)).has_value());
  add(summary, metric({10, 20}));
  add(summary, metric({60}));
  CHECK(value_of(summary, {}) == 30.);
  CHECK(std::abs(*value_of(summary, at(.5)) - 20) <= .2);
  CHECK(std::abs(*value_of(summary, at(1)) - 60) <= .6);
}

TEST_CASE("gauges have a mean and no quantile, and absurd sums are left out") {
  DeviceSummary summary;
  add(summary, {"t", "g", 2, 84, 40, 44, {}});
  CHECK(value_of(summary, {}) == 42.);
  CHECK_FALSE(value_of(summary, at(.5)).has_value());
  CHECK_FALSE(bins_of(summary, {0, 100}).has_value());
  add(summary, {"t", "g", 1, std::numeric_limits<double>::infinity(), 0, 0, {}});
  add(summary, {"t", "g", 0, 9, 0, 0, {}});
  add(summary, {"t", "g", -3, 9, 0, 0, {}});
  CHECK(summary.count == 2);
}

TEST_CASE("bins are shares over the declared range, and what lies beyond counts at its ends") {
  DeviceSummary summary;
  add(summary, metric({-7, .05, .55, .55, 1, 1e9}));
  auto const bins = bins_of(summary, {0, 1});
  REQUIRE(bins.has_value());
  CHECK(std::abs(std::accumulate(bins->begin(), bins->end(), 0.) - 1) < 1e-12);
  CHECK(std::abs(bins->front() - 2. / 6) < 1e-12);
  CHECK(std::abs(bins->at(5) - 2. / 6) < 1e-12);
  CHECK(std::abs(bins->back() - 2. / 6) < 1e-12);
  CHECK_FALSE(bins_of(summary, {1, 1}).has_value());
}

TEST_CASE("a summary's size has an end, it is read back as it was, and what is no summary is refused") {
  DeviceSummary summary;
  for (int i = 1; i <= 3000; ++i) add(summary, metric({.1 * i, 1e-6 * i, -3. * i}));
  CHECK(summary.sketch.buckets().size() <= DeviceSummary::kBucketsMax);
  CHECK(summary.sketch.count() == 9000);
  auto const text = encode(summary);
  CHECK(text.size() < 4096);
  auto const again = decode_summary(text);
  REQUIRE(again.has_value());
  CHECK(again->count == summary.count);
  CHECK(again->sum == summary.sum);
  CHECK(again->sketch.buckets() == summary.sketch.buckets());
  for (auto const* const bad : {"", "[]", R"({"count":-1})", R"({"sum":"x"})", R"({"buckets":{"a":1}})", R"({"buckets":{"1":-1}})"}) CHECK_FALSE(decode_summary(bad).has_value());
}
