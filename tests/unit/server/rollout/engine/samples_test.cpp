#include "server/rollout/engine/samples.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace fleet;
using namespace fleet::rollout;

namespace {

constexpr MetricRange kShare{0, 1};
constexpr std::int64_t kHourMs = 3'600'000;

AbsoluteGate at_least(double min) {
  AbsoluteGate gate;
  gate.metric = "accuracy";
  gate.min = min;
  return gate;
}
SysTime hour(std::int64_t n) { return from_unix_ms(1'800'000'000'000 / kHourMs * kHourMs + n * kHourMs); }

/// Hours until a device whose samples are right with the chance `p` is called bad; 0: not within `hours`.
std::int64_t called_after(double p, std::int64_t hours, std::optional<MetricRange> const& range, std::uint64_t seed) {
  SeededRandom random(seed);
  auto const gate = at_least(.9);
  DeviceSamples samples;
  for (std::int64_t at = 0; at < hours; ++at) {
    int right = 0;
    for (int i = 0; i < 50; ++i) right += random.uniform() < p;
    add(samples, gate, range, hour(at), 50, right);
    if (is_bad(samples)) return at;
  }
  return 0;
}

}  // namespace

TEST_CASE("a device far outside the bound is bad within a day, one inside it is not") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    auto const bad = called_after(.8, 48, kShare, seed);
    CHECK(bad > 0);
    CHECK(bad <= 30);
    CHECK(called_after(.93, 500, kShare, seed) == 0);
    CHECK(called_after(.9, 500, kShare, seed) == 0);
  }
}

TEST_CASE("without a declared range nothing is decided before fifty blocks") {
  auto const bad = called_after(.7, 200, std::nullopt, 1);
  CHECK(bad >= 50);
  CHECK(bad <= 60);
}

TEST_CASE("one observation is a block, whatever comes in it and in which order") {
  auto const gate = at_least(.9);
  DeviceSamples one, two;
  add(one, gate, kShare, hour(0), 3, 2);
  add(one, gate, kShare, hour(0) + std::chrono::minutes(59), 1, 1);
  add(two, gate, kShare, hour(0) + std::chrono::minutes(59), 1, 1);
  add(two, gate, kShare, hour(0), 3, 2);
  add(one, gate, kShare, hour(1), 5, 5);
  add(two, gate, kShare, hour(1), 5, 5);
  CHECK(one == two);
  CHECK(one.blocks == 1);
  CHECK(one.samples == 4);
  auto const before = one;
  add(one, gate, kShare, hour(0), 100, 0);  // weeks late: its block was an observation already
  CHECK(one == before);
}

TEST_CASE("absurd samples are left out, and values beyond the range count as its end") {
  auto const gate = at_least(.9);
  DeviceSamples samples;
  for (double const sum : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) add(samples, gate, kShare, hour(0), 1, sum);
  add(samples, gate, kShare, hour(0), 0, 1);
  add(samples, gate, kShare, hour(0), -5, 1);
  CHECK(samples == DeviceSamples{});
  DeviceSamples far, end;
  for (int at = 0; at < 100; ++at) {
    add(far, gate, kShare, hour(at), 1, -1e300);
    add(end, gate, kShare, hour(at), 1, 0);
  }
  CHECK(is_bad(far));
  CHECK(far.below == end.below);
}

TEST_CASE("both sides are watched, and a bound at the end of the range is no bound") {
  AbsoluteGate gate = at_least(.2);
  gate.max = .4;
  DeviceSamples high, low, fine;
  for (int at = 0; at < 100; ++at) {
    add(high, gate, kShare, hour(at), 1, .9);
    add(low, gate, kShare, hour(at), 1, 0);
    add(fine, gate, kShare, hour(at), 1, .3);
  }
  CHECK(is_bad(high));
  CHECK(is_bad(low));
  CHECK(!is_bad(fine));
  DeviceSamples any;
  for (int at = 0; at < 100; ++at) add(any, at_least(0), kShare, hour(at), 1, 0);
  CHECK(!is_bad(any));
}

TEST_CASE("coverage needs blocks and samples, and the last block counts once its time is over") {
  auto gate = at_least(.9);
  gate.blocks = 3;
  gate.samples = 30;
  DeviceSamples samples;
  for (int at = 0; at < 3; ++at) add(samples, gate, kShare, hour(at), 10, 10);
  CHECK(!is_covered(samples, gate));
  close(samples, gate, kShare, hour(2) + std::chrono::minutes(30));
  CHECK(!is_covered(samples, gate));
  close(samples, gate, kShare, hour(3));
  CHECK(is_covered(samples, gate));
  gate.samples = 31;
  CHECK(!is_covered(samples, gate));
}

TEST_CASE("what was written is read back to the last bit, and what is no row is refused") {
  SeededRandom random(3);
  AbsoluteGate gate = at_least(.5);
  gate.max = .9;
  DeviceSamples bounded, plain;
  for (int at = 0; at < 40; ++at) {
    double const value = random.uniform();
    add(bounded, gate, kShare, hour(at), 7, 7 * value);
    add(plain, gate, std::nullopt, hour(at), 7, 7 * value);
    for (auto const* one : {&bounded, &plain}) {
      auto const again = decode_samples(encode(*one));
      REQUIRE(again.has_value());
      CHECK(*again == *one);
    }
  }
  CHECK(encode(bounded).size() < 600);
  for (auto const* const text : {"[]", "{\"below\":[1]}", "{\"count\":-1}", "", "{\"above\":\"1 2 3 4 5 x\"}", "{\"sum\":\"\"}"}) CHECK(!decode_samples(text));
}

TEST_CASE("a class says of a device all that its gate counts, and counting is undone by counting back") {
  SeededRandom random(11);
  auto gate = at_least(.6);
  gate.blocks = 8;
  gate.samples = 60;
  MetricTally kept;
  std::vector<std::pair<int, bool>> all;
  std::int64_t seen = 0, bad = 0, covered = 0, reached = 0, bad_by = 0;
  for (int device = 0; device < 200; ++device) {
    DeviceSamples samples;
    auto const blocks = static_cast<std::int64_t>(1 + 16 * random.uniform());
    for (std::int64_t at = 0; at < blocks; ++at) add(samples, gate, kShare, hour(at), 10, 10 * (device % 3 == 0 ? .1 * random.uniform() : random.uniform()));
    bool const healthy = device % 4 != 0;
    auto const sample_class = class_of(samples, gate);
    REQUIRE(sample_class >= 0);
    REQUIRE(sample_class < kSampleClasses);
    count(kept, sample_class, Arm::canary, healthy, 1);
    all.emplace_back(sample_class, healthy);
    ++seen;
    bad += is_bad(samples);
    covered += healthy && is_covered(samples, gate);
    reached += samples.blocks >= 4;  // the age of a half
    bad_by += samples.blocks >= 4 && is_bad(samples) && samples.bad_at <= 4;
  }
  CHECK(kept.seen == seen);
  CHECK(kept.bad == bad);
  CHECK(kept.covered == covered);
  CHECK(kept.aged[1].canary.devices == reached);
  CHECK(kept.aged[1].canary.bad == bad_by);
  CHECK(bad > 20);
  CHECK(covered > 20);
  CHECK(kept.control_seen == 0);
  for (auto const& [sample_class, healthy] : all) count(kept, sample_class, Arm::canary, healthy, -1);
  CHECK(kept.seen + kept.bad + kept.covered + kept.aged[0].canary.devices + kept.aged[2].canary.bad == 0);
  count(kept, all.front().first, Arm::control, true, 1);
  CHECK(kept.control_seen == 1);
  CHECK(kept.covered == 0);
  MetricTally none;
  count(none, DeviceSamples{}, gate, Arm::canary, true, 1);  // it has sent nothing
  CHECK(none.seen == 0);
}

TEST_CASE("a device whose samples are flagged is heard, and neither seen, covered nor bad; what it had shown before stands") {
  auto gate = at_least(.6);
  gate.blocks = 4;
  gate.samples = 40;
  DeviceSamples broken;
  add_flagged(broken, 50);
  CHECK(is_flagged(broken));
  MetricTally tally;
  count(tally, broken, gate, Arm::canary, true, 1);
  CHECK(tally.heard == 1);
  CHECK(tally.flagged == 1);
  CHECK(tally.seen + tally.covered + tally.bad == 0);
  CHECK(*decode_samples(encode(broken)) == broken);
  REQUIRE(class_of(broken, gate) < kSampleClasses);

  DeviceSamples good, bad;
  for (int at = 0; at < 12; ++at) {
    add(good, gate, kShare, hour(at), 10, 9);
    add(bad, gate, kShare, hour(at), 10, 1);
  }
  for (auto* const one : {&good, &bad}) add_flagged(*one, 30);
  CHECK_MESSAGE(is_covered(good, gate), "a few count for nothing");
  for (auto* const one : {&good, &bad}) add_flagged(*one, 200);
  CHECK_FALSE(is_covered(good, gate));
  CHECK(is_bad(bad));
  MetricTally both;
  count(both, good, gate, Arm::control, true, 1);
  count(both, bad, gate, Arm::control, true, 1);
  CHECK(both.control_seen == 2);
  CHECK(both.control_flagged == 2);
  CHECK(both.control_bad == 1);
}
