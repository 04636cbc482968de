#include "server/rollout/engine/progress.hpp"

#include "server/rollout/gates/gate.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using namespace fleet;
using namespace fleet::rollout;

namespace {

Policy const& policy() {
  static Policy const made = *decode_policy(
      R"({"stages":[{"percent":10},{"percent":100}],"gates":{"failures":{"max_odds_ratio":[5]},"silent":{},"certify":{"devices_max":["5%"]}}})");
  return made;
}

Cell cell(std::mt19937_64& dice, std::int64_t devices) {
  Cell out;
  out.started = devices;
  auto left = devices;
  auto const take = [&](int share) {
    auto const taken = static_cast<std::int64_t>(dice() % static_cast<std::uint64_t>(1 + left / share));
    left -= taken;
    return taken;
  };
  out.failed = take(6);
  out.golden = take(40);
  out.silent = take(8);
  out.left = take(30);
  out.healthy = left;
  return out;
}

Progress any_progress(std::mt19937_64& dice) {
  Progress out;
  out.window = static_cast<int>(dice() % 500);
  out.shut = dice() % 2 == 0;
  out.judged = out.window == 0 || dice() % 2 == 0;
  out.opened = Millis(static_cast<std::int64_t>(dice() % 10'000'000'000));
  out.stage = static_cast<int>(dice() % 5);
  out.full = dice() % 2 == 0;
  out.in_stage = static_cast<int>(dice() % 60);
  out.canaries = static_cast<int>(dice() % 300);
  out.controls = out.canaries + static_cast<int>(dice() % 300);
  for (auto* const time : {&out.stage_since, &out.bake_since, &out.deadline, &out.complete_since})
    if (dice() % 3 != 0) *time = Millis(static_cast<std::int64_t>(dice() % 10'000'000'000));
  for (auto const* const stratum : {"cam-a/north", "cam \"b\"", "-"})
    if (dice() % 2 == 0) out.quarantined.insert(stratum);
  out.folded = fold_nothing(policy());
  for (auto windows = dice() % 12; windows > 0; --windows) {
    WindowCounts window;
    for (auto const* const stratum : {"cam-a/north", "cam \"b\"", "-"})
      if (dice() % 2 == 0) window[stratum] = {cell(dice, static_cast<std::int64_t>(dice() % 300)), cell(dice, static_cast<std::int64_t>(dice() % 2'000))};
    fold(out.folded, window);
  }
  out.folded.install_failed = static_cast<std::int64_t>(dice() % 9);
  out.installs_seen = static_cast<std::int64_t>(dice() % 9);
  if (dice() % 2 == 0) leave_out(out.folded, "-");
  return out;
}

}  // namespace

TEST_CASE("a progress is read back to the last bit of its doubles, and says the same") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 dice(seed);
    auto const progress = any_progress(dice);
    auto const back = decode_progress(encode(progress));
    REQUIRE(back.has_value());
    CHECK(*back == progress);
    CHECK(encode(*back) == encode(progress));
    auto const before = judge_all({policy(), 1, false, {}, progress.folded, {}}), after = judge_all({policy(), 1, false, {}, back->folded, {}});
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(before[i].e_value == after[i].e_value);
      CHECK(before[i].decision == after[i].decision);
      CHECK(before[i].text == after[i].text);
    }
  }
}

TEST_CASE("any finite double comes back as it was") {
  std::mt19937_64 dice(7);
  Progress progress;
  auto& sums = progress.folded.odds;
  for (int i = 0; i < 20'000; ++i) {
    auto const bits = std::bit_cast<double>(dice());
    if (std::isfinite(bits)) sums.push_back(bits);
    sums.push_back(std::ldexp(static_cast<double>(dice() >> 11), -60) * (i % 2 == 0 ? 1 : -1e3));
  }
  for (double const edge : {0., -0., 1., 1e-300, -1e300, std::numeric_limits<double>::max(), std::numeric_limits<double>::min(), std::numeric_limits<double>::denorm_min(), .1})
    sums.push_back(edge);
  auto const back = *decode_progress(encode(progress));
  REQUIRE(back.folded.odds.size() == sums.size());
  std::size_t other = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) other += std::bit_cast<std::uint64_t>(back.folded.odds[i]) != std::bit_cast<std::uint64_t>(sums[i]);
  CHECK(other == 0);
}

TEST_CASE("the row of a rollout that never began is a progress of nothing; what is no object is corrupt") {
  auto const none = decode_progress("{}");
  REQUIRE(none.has_value());
  CHECK(*none == Progress{});
  CHECK(none->current() == 1);
  CHECK_FALSE(decode_progress("").has_value());
  CHECK_FALSE(decode_progress("[]").has_value());
  CHECK_FALSE(decode_progress("nothing").has_value());
}

TEST_CASE("who starts now belongs to the open window, or to the next") {
  Progress progress;
  CHECK(progress.current() == 1);
  progress.window = 3;
  CHECK(progress.current() == 3);
  progress.shut = true;
  CHECK(progress.current() == 4);
}
