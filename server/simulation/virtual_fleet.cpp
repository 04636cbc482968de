#include "tests/simulation/simulated_fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::simulation {
namespace {

using namespace fleet::rollout;
namespace ds = device_state;

constexpr Millis kTick = seconds(10);
constexpr Millis kPollEvery = std::chrono::minutes(1);
constexpr Millis kUpdateTakes = std::chrono::minutes(2);
constexpr Millis kSilence = std::chrono::minutes(6);
constexpr Millis kOffline = std::chrono::minutes(30);
constexpr Millis kLongest = std::chrono::hours(24 * 30);
constexpr auto kHardware = std::to_array<std::string_view>({"cam-a", "cam-b", "cam-c"});
SysTime const kStart = from_unix_ms(1'800'000'000'000);

}  // namespace

SimulatedFleet::SimulatedFleet(Scenario scenario, Policy policy, int devices, std::uint64_t seed)
    : scenario_(std::move(scenario)), random_(seed), now_(kStart) {
  rollout_.n = 1;
  rollout_.id = "r_sim";
  rollout_.model = "m";
  rollout_.version = "2";
  rollout_.policy = std::move(policy);
  rollout_.salt = fmt::format("m@2#{}", seed);
  rollout_.release_state = "approved";
  Places places;
  for (int i = 0; i < devices; ++i) {
    auto& device = devices_.emplace_back();
    device.facts.n = i + 1;
    device.facts.id = fmt::format("device-{}", i);
    device.facts.hardware = kHardware[random_.next() % kHardware.size()];
    device.facts.running["m"] = "1";
    device.place = place(rollout_.salt, device.facts.id);
    device.online = random_.uniform() >= scenario_.offline;
    device.next_poll = now_ + Millis(static_cast<std::int64_t>(random_.uniform() * static_cast<double>(kPollEvery.count())));
    places[device.facts.hardware].push_back(device.place);
  }
  auto const plan = plan_of_places(rollout_.policy, places);
  strata_ = plan.membership;
  outcome_.stage_one = plan.stages.front().devices;
}

/// What raising the policy epoch does on the server.
Result<void> SimulatedFleet::refresh() {
  FLEET_TRY(auto view, make_view(rollout_, strata_));
  for (auto const& hardware : kHardware) view.variants.emplace(hardware, 0);
  auto snapshot = std::make_shared<Snapshot>();
  put_view(*snapshot, std::make_shared<RolloutView const>(std::move(view)));
  sort_views(*snapshot);
  snapshot_ = std::move(snapshot);
  return {};
}

void SimulatedFleet::finish(Device& device) {
  device.result_at = SysTime{};
  auto& row = device.row;
  if (row.state == ds::kReverting) {
    row.state = ds::kReverted;
    device.facts.running["m"] = *row.from_version;
    return;
  }
  if (random_.uniform() < scenario_.fails) {
    row.state = ds::kFailed;
    if (random_.uniform() < .5) row.exposed = true;  // it failed after the switch, and is back by itself
    return;
  }
  row.exposed = true;
  device.facts.running["m"] = rollout_.version;
  if (random_.uniform() < scenario_.silent) {
    device.dead = true;
    return;
  }
  if (row.state != ds::kSilent) row.state = ds::kHealthy;
  bool const bad = random_.uniform() < scenario_.inaccurate;
  device.accuracy = {100, 100 * (bad ? .5 : .96 + .03 * random_.uniform())};
}

void SimulatedFleet::poll(Device& device) {
  device.next_poll = now_ + kPollEvery;
  DeviceRows rows;
  if (device.told) rows[rollout_.n] = device.row;
  auto const desired = decide_model(*snapshot_, "m", device.facts, rows, now_).desired;
  if (desired.joins) {
    device.told = device.eligible = true;
    device.row = {std::string(ds::kDispatched), false, device.facts.running["m"], {}, desired.target.attempt};
    device.dispatched_at = now_;
    device.silent_at = now_ + kSilence;
    device.result_at = now_ + kUpdateTakes;
  } else if (desired.target.action == wire::Action::revert && device.row.state != ds::kReverting) {
    device.row.state = ds::kReverting;
    device.result_at = now_ + seconds(30);
  }
}

void SimulatedFleet::live(Device& device) {
  if (device.dead) return;
  if (now_ >= device.online_changes) {
    device.online = random_.uniform() >= scenario_.offline;
    device.online_changes = now_ + Millis(static_cast<std::int64_t>((.5 + random_.uniform()) * static_cast<double>(kOffline.count())));
  }
  if (!device.online) return;
  if (device.result_at != SysTime{} && now_ >= device.result_at) finish(device);
  if (!device.dead && now_ >= device.next_poll) poll(device);
}

bool SimulatedFleet::wants(Device const& device) const {
  auto const& view = *snapshot_->by_n.at(rollout_.n);
  return !device.told && device.online && !device.dead && view.in_stage(rollout_.stage, device.facts.hardware, device.place);
}

Facts SimulatedFleet::gather() const {
  Fold fold(rollout_.policy, rollout_.bake_since);
  std::int64_t undispatched = 0, to_revert = 0;
  for (auto const& device : devices_) {
    undispatched += wants(device);
    if (!device.told) continue;
    DeviceEvidence evidence{device.row.state, device.row.exposed, device.eligible, device.dispatched_at, {}};
    for (auto const& gate : rollout_.policy.absolute) evidence.samples.push_back(gate.metric == "accuracy" ? device.accuracy : Samples{});
    fold.add(evidence);
    to_revert += device.online && !device.dead && must_return(*snapshot_->by_n.at(rollout_.n), device.row, device.facts);
  }
  fold.facts.undispatched = undispatched;
  fold.facts.to_revert = to_revert;
  return fold.facts;
}

Result<void> SimulatedFleet::apply(Verdict const& verdict) {
  rollout_.latches = verdict.latches;
  if (verdict.start_bake) rollout_.bake_since = now_;
  if (!verdict.event) return {};
  auto const to = next_state(rollout_.state, *verdict.event);
  if (!to) return Error{Kind::internal, "no_edge", fmt::format("the judge said {} in state {}", to_string(*verdict.event), to_string(rollout_.state))};
  rollout_.state = *to;
  if (*verdict.event == Event::widen) enter_stage(rollout_, rollout_.stage + 1, now_);
  if (*verdict.event != Event::all_reverted) {
    outcome_.stage = rollout_.stage;
    outcome_.reason = verdict.reason;
  }
  if (*verdict.event == Event::roll_back)
    for (auto& device : devices_)
      if (device.told && device.row.state == ds::kFailed && device.row.exposed) device.row.state = ds::kReverted;
  return refresh();
}

Result<void> SimulatedFleet::judge_now() {
  for (auto& device : devices_) {
    if (!device.told || !ds::is_undecided(device.row.state) || now_ < device.silent_at) continue;
    if (device.online && !device.dead) device.silent_at = now_ + kSilence;
    else device.row.state = ds::kSilent;
  }
  Standing standing;
  standing.state = rollout_.state;
  standing.stage = rollout_.stage;
  standing.bake_since = rollout_.bake_since;
  standing.deadline = rollout_.deadline;
  standing.latches = rollout_.latches;
  return apply(judge(rollout_.policy, standing, gather(), now_));
}

Result<Outcome> SimulatedFleet::run() {
  rollout_.state = *next_state(rollout_.state, Event::start);
  rollout_.started_at = now_;
  enter_stage(rollout_, 1, now_);
  FLEET_CHECK(refresh());
  auto const goes_on = [&] { return rollout_.state == State::running || rollout_.state == State::rolling_back; };
  for (; goes_on() && now_ < kStart + kLongest; now_ += kTick) {
    for (auto& device : devices_) live(device);
    FLEET_CHECK(judge_now());
  }
  outcome_.state = rollout_.state;
  outcome_.hours = static_cast<double>((now_ - kStart).count()) / 3.6e6;
  outcome_.exposed = std::count_if(devices_.begin(), devices_.end(), [](Device const& device) { return device.told && device.row.exposed; });
  if (rollout_.state != State::rolled_back) return outcome_;
  scenario_.offline = 0;  // everybody comes back, and the dead are repaired
  for (auto& device : devices_) {
    device.online_changes = SysTime{};
    device.dead = false;
  }
  for (int i = 0; i < 60; ++i, now_ += kTick)
    for (auto& device : devices_) live(device);
  outcome_.left_behind =
      std::count_if(devices_.begin(), devices_.end(), [&](Device const& device) { return device.facts.running.at("m") == rollout_.version; });
  return outcome_;
}

}  // namespace fleet::simulation
