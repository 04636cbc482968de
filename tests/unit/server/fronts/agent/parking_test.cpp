#include "server/fronts/agent/nonce_trace.hpp"
#include "tests/unit/server/fronts/agent/house.hpp"

using namespace fleet;
using namespace fleet::fronts;

using namespace fleet::fronts::test;

namespace {

std::unique_ptr<Poll> parked_poll(std::int64_t device_n, store::Epochs const& epochs) {
  auto poll = std::make_unique<Poll>();
  poll->device_n = device_n;
  poll->until = MonoTime{Millis{1'000'000}};
  poll->memory = std::make_shared<Memory>();
  poll->memory->policy_epoch = epochs.policy();
  poll->memory->device_epoch = epochs.device(device_n);
  poll->answer = net::Responder(std::make_shared<Seen>());
  return poll;
}

}  // namespace

TEST_CASE("a change of policy wakes a lane in slices, and everybody in turn") {
  store::Epochs epochs;
  std::vector<std::int64_t> woken;
  Parking parking(1, 10'000, [&](std::unique_ptr<Poll> poll, Parking::Wake) { woken.push_back(poll->device_n); });
  auto const count = static_cast<std::int64_t>(Parking::kWokenEachSweep) * 2 + 10;
  for (std::int64_t n = 0; n < count; ++n) {
    auto poll = parked_poll(n, epochs);
    REQUIRE(parking.park(0, poll));
  }
  epochs.raise_policy();
  for (std::size_t const expected : {Parking::kWokenEachSweep, Parking::kWokenEachSweep * 2, static_cast<std::size_t>(count)}) {
    parking.sweep(0, epochs, SysTime{}, MonoTime{});
    CHECK(woken.size() == expected);
  }
  std::sort(woken.begin(), woken.end());
  CHECK(std::adjacent_find(woken.begin(), woken.end()) == woken.end());
  CHECK(parking.count() == 0);
}

TEST_CASE("a device's own change is not held back by a slice") {
  store::Epochs epochs;
  std::vector<std::int64_t> woken;
  Parking parking(1, 10'000, [&](std::unique_ptr<Poll> poll, Parking::Wake) { woken.push_back(poll->device_n); });
  for (std::int64_t n = 0; n < 1'000; ++n) {
    auto poll = parked_poll(n, epochs);
    REQUIRE(parking.park(0, poll));
  }
  epochs.raise_policy();
  epochs.raise_device(999);
  parking.sweep(0, epochs, SysTime{}, MonoTime{});
  CHECK(std::find(woken.begin(), woken.end(), 999) != woken.end());
}

TEST_CASE("a poll may be parked again by the handler that takes it") {
  store::Epochs epochs;
  Parking* self = nullptr;
  Parking parking(1, 10, [&](std::unique_ptr<Poll> poll, Parking::Wake) {
    poll->memory->policy_epoch = epochs.policy();
    REQUIRE(self->park(0, poll));
  });
  self = &parking;
  auto poll = parked_poll(1, epochs);
  REQUIRE(parking.park(0, poll));
  epochs.raise_policy();
  parking.sweep(0, epochs, SysTime{}, MonoTime{});
  CHECK(parking.count() == 1);
}

TEST_CASE("a full parking leaves the poll with its caller") {
  store::Epochs epochs;
  Parking parking(1, 1, [](std::unique_ptr<Poll>, Parking::Wake) {});
  auto first = parked_poll(1, epochs), second = parked_poll(2, epochs);
  CHECK(parking.park(0, first));
  CHECK_FALSE(parking.park(0, second));
  CHECK(second != nullptr);
}

TEST_CASE("a late answer to a poll that the device gave up accuses nobody") {
  NonceTrace trace;
  CHECK(trace.check(7, {.nonce = "a", .prior = "", .boot_id = "b"}, MonoTime{Millis{1}}));
  trace.answered(7, "a");
  CHECK(trace.check(7, {.nonce = "given-up", .prior = "a", .boot_id = "b"}, MonoTime{Millis{2}}));
  CHECK(trace.check(7, {.nonce = "b", .prior = "a", .boot_id = "b"}, MonoTime{Millis{3}}));
  trace.answered(7, "b");
  trace.answered(7, "given-up");
  CHECK(trace.check(7, {.nonce = "c", .prior = "b", .boot_id = "b"}, MonoTime{Millis{4}}));
}

TEST_CASE("nonces tell one device from two") {
  struct Step {
    char const* prior;
    char const* answered;
    bool one_device;
  };
  struct Case {
    char const* name;
    std::vector<Step> steps;
  };
  std::vector<Case> const cases{
      {"an ordinary device", {{"", "a", true}, {"a", "b", true}, {"b", "c", true}}},
      {"an answer was lost", {{"", "a", true}, {"a", "b", true}, {"a", "c", true}, {"c", "d", true}}},
      {"several answers were lost", {{"", "a", true}, {"a", "b", true}, {"a", "c", true}, {"a", "d", true}, {"d", "e", true}}},
      {"the server restarted", {{"z", "a", true}, {"a", "b", true}}},
      {"a clone starts from a copy", {{"", "a", true}, {"a", "b", true}, {"b", "c", true}, {"b", "d", true}, {"c", "e", false}}},
      {"an old clone wakes up", {{"", "a", true}, {"a", "b", true}, {"b", "c", true}, {"x", "y", false}}},
  };
  for (auto const& [name, steps] : cases) {
    CAPTURE(name);
    NonceTrace trace;
    for (auto const& step : steps) {
      CHECK(trace.check(7, {.nonce = step.answered, .prior = step.prior, .boot_id = "b"}, MonoTime{Millis{1}}) == step.one_device);
      trace.answered(7, step.answered);
    }
  }
}
