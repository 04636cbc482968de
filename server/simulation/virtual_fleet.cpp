#include "server/simulation/virtual_fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::simulation {
namespace {

using namespace fleet::rollout;
namespace ds = device_state;
using std::chrono::hours;
using std::chrono::minutes;

constexpr Millis kPollEvery = minutes(1);
constexpr Millis kReportEvery = minutes(2);
constexpr Millis kFetchAndTest = minutes(2);
constexpr Millis kProbation = minutes(5);
constexpr Millis kReturn = seconds(30);
constexpr Millis kSampleEvery = seconds(10);
constexpr Millis kOffline = minutes(30);
constexpr Millis kShock = hours(1);
constexpr Millis kJudgeEvery = minutes(1);
constexpr Millis kLongest = hours(24 * 30);
constexpr int kSites = 20;
constexpr auto kHardware = std::to_array<std::string_view>({"cam-a", "cam-b", "cam-c"});
constexpr auto kRegions = std::to_array<std::string_view>({"eu", "us", "asia"});
constexpr SysTime kStart = from_unix_ms(1'800'000'000'000);

Millis part_of(Millis whole, double share) { return Millis(static_cast<std::int64_t>(static_cast<double>(whole.count()) * share)); }

}  // namespace

VirtualFleet::VirtualFleet(Scenario scenario, Policy policy, int devices, std::uint64_t seed) : scenario_(std::move(scenario)), random_(seed), now_(kStart) {
  rollout_.n = 1;
  rollout_.id = "r_sim";
  rollout_.model = "m";
  rollout_.version = "2";
  rollout_.policy = std::move(policy);
  rollout_.salt = fmt::format("m@2#{}", seed);
  rollout_.release_state = "approved";
  silence_ = rollout_.policy.silent.value_or(SilentGate{}).after_reports * kReportEvery;
  shock_at_ = scenario_.shock > 0 ? kStart + part_of(2 * kShock, random_.uniform()) : SysTime::max();
  Places places;
  for (int i = 0; i < devices; ++i) {
    auto const& device = devices_.emplace_back(make_device(i));
    places[device.stratum].push_back(device.place);
  }
  auto const plan = plan_of_places(rollout_.policy, places);
  strata_ = plan.membership;
  outcome_.stage_one = plan.stages.front().devices;
}

VirtualFleet::Device VirtualFleet::make_device(int number) {
  Device device;
  auto const site = random_.next() % kSites;
  device.facts.n = number + 1;
  device.facts.id = fmt::format("device-{}", number);
  device.facts.hardware = kHardware[random_.next() % kHardware.size()];
  device.facts.labels = {{"site", fmt::format("site-{}", site)}, {"region", std::string(kRegions[site % kRegions.size()])}};
  device.facts.running.versions["m"] = "1";
  device.place = place(rollout_.salt, device.facts.id);
  device.stratum = stratum_of(rollout_.policy.strata, device.facts.hardware, device.facts.labels);
  device.bad = random_.uniform() < scenario_.bad;
  device.shocked = static_cast<double>(site) < scenario_.shock * kSites;
  device.online = random_.uniform() >= scenario_.offline;
  if (scenario_.offline > 0) device.online_changes = kStart + part_of(kOffline, between(0, 1.5));
  return device;
}

/// What raising the policy epoch does on the server: all decide anew, in slices.
Result<void> VirtualFleet::refresh() {
  FLEET_TRY(auto view, make_view(rollout_, strata_));
  for (auto const& hardware : kHardware) view.variants.emplace(hardware, scenario_.bytes);
  if (view_ != nullptr) {
    view.at_work = view_->at_work;
    view.line_free_at = view_->line_free_at;
  }
  view_ = std::make_shared<RolloutView const>(std::move(view));
  auto snapshot = std::make_shared<Snapshot>();
  put_view(*snapshot, view_);
  sort_views(*snapshot);
  snapshot_ = std::move(snapshot);
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    device.next_poll = now_ + part_of(kPollEvery, random_.uniform());
    for (int stage = rollout_.policy.stage_count(); stage > 0; --stage)
      if (view_->in_stage(stage, device.stratum, device.place)) device.stage = stage;
    wake(i);
  }
  return {};
}

void VirtualFleet::wake(std::size_t index) {
  auto const& device = devices_[index];
  if (device.dead) return;
  auto at = device.online_changes;
  if (device.online) at = std::min({at, device.next_poll, device.result_at});
  if (device.shocked && shock_at_ >= now_) at = std::min(at, shock_at_);
  devices_[index].wakes_at = at;
  if (at != SysTime::max()) wakes_.emplace(at, index);
}

void VirtualFleet::lose_network(Device& device) {
  device.online = false;
  device.shocked = false;
  device.online_changes = now_ + kShock;
}

void VirtualFleet::live(std::size_t index) {
  auto& device = devices_[index];
  if (device.dead) return;
  if (device.shocked && now_ >= shock_at_) lose_network(device);
  if (now_ >= device.online_changes) {
    bool const was_online = device.online;
    device.online = random_.uniform() >= scenario_.offline;
    device.online_changes = scenario_.offline > 0 ? now_ + part_of(kOffline, between(.5, 1.5)) : SysTime::max();
    if (device.online && !was_online) device.next_poll = std::min(device.next_poll, now_ + part_of(kPollEvery, random_.uniform()));
  }
  if (device.online && now_ >= device.result_at) take_result(device);
  if (device.online && !device.dead && now_ >= device.next_poll) poll(device);
  wake(index);
}

void VirtualFleet::live_until(SysTime until) {
  while (!wakes_.empty() && wakes_.top().first <= until) {
    auto const [at, index] = wakes_.top();
    wakes_.pop();
    if (devices_[index].wakes_at != at) continue;
    now_ = std::max(now_, at);
    live(index);
  }
  now_ = until;
}

void VirtualFleet::leave_work(Device& device, std::string_view state) {
  if (ds::is_undecided(device.row.state) && !ds::is_undecided(state)) view_->at_work->fetch_sub(1);
  device.row.state = state;
}

void VirtualFleet::dispatch(Device& device, std::int64_t attempt) {
  device.told = true;
  device.row = {std::string(ds::kDispatched), false, device.facts.running.versions["m"], {}, attempt};
  device.dispatched_at = now_;
  device.silent_at = now_ + silence_;
  device.result_at = now_ + part_of(kFetchAndTest, between(.5, 2));
  bool const fails = (device.bad && scenario_.kind == BadKind::fails) || random_.uniform() < scenario_.noise;
  device.fate = !fails ? Fate::passes : random_.uniform() < .5 ? Fate::fails_test : Fate::fails_probation;
  view_->at_work->fetch_add(1);
  if (auto const rate = static_cast<std::int64_t>(rollout_.policy.egress); rate > 0)
    view_->line_free_at->store(std::max(view_->line_free_at->load(), to_unix_ms(now_)) + scenario_.bytes * 1000 / rate);
}

void VirtualFleet::poll(Device& device) {
  DeviceRows rows;
  if (device.told) rows[rollout_.n] = device.row;
  auto const [desired, retry_soon, holder] = decide_model(*snapshot_, "m", device.facts, rows, now_);
  device.next_poll = retry_soon ? now_ + kPollEvery : SysTime::max();
  if (desired.joins) return dispatch(device, desired.target.attempt);
  bool const returns = desired.target.action == wire::Action::revert && device.row.state != ds::kReverting;
  if (device.row.state == ds::kDropped) device.result_at = SysTime::max();
  if (!returns) return;
  leave_work(device, ds::kReverting);
  device.result_at = now_ + kReturn;
}

/// The step under way has come to its end: golden test, probation, or the way back. The report makes the device decide anew.
void VirtualFleet::take_result(Device& device) {
  device.result_at = SysTime::max();
  device.next_poll = now_;
  auto& row = device.row;
  if (row.state == ds::kReverting) {
    row.state = ds::kReverted;
    device.facts.running.versions["m"] = *row.from_version;
    return;
  }
  if (!row.exposed) {
    if (device.fate == Fate::fails_test) return leave_work(device, ds::kFailed);
    row.exposed = true;
    device.switched_at = now_;
    device.facts.running.versions["m"] = rollout_.version;
    if (row.state != ds::kSilent) row.state = ds::kProbation;
    device.dead = device.bad && scenario_.kind == BadKind::silent;
    device.result_at = now_ + (device.fate == Fate::fails_probation ? part_of(kProbation, random_.uniform()) : kProbation);
    return;
  }
  if (device.fate == Fate::fails_probation) {
    device.facts.running.versions["m"] = *row.from_version;  // it went back by itself
    return leave_work(device, rollout_.state == State::rolling_back ? ds::kReverted : ds::kFailed);
  }
  if (row.state != ds::kSilent) leave_work(device, ds::kHealthy);
}

Samples VirtualFleet::samples_of(Device const& device, AbsoluteGate const& gate) const {
  if (!device.row.exposed || device.dead) return {};
  auto const count = std::min<std::int64_t>((now_ - device.switched_at) / kSampleEvery, gate.samples);
  bool const bad = device.bad && scenario_.kind == BadKind::metric;
  double const value = gate.min ? *gate.min - (bad ? 1 : 0) : *gate.max + (bad ? 1 : 0);
  return {count, value * static_cast<double>(count)};
}

Facts VirtualFleet::gather() const {
  Fold fold(rollout_.policy, rollout_.bake_since);
  std::int64_t undispatched = 0, to_revert = 0;
  DeviceEvidence evidence;
  evidence.eligible = true;
  for (auto const& device : devices_) {
    if (!device.told) {
      undispatched += device.online && device.stage > 0 && device.stage <= rollout_.stage;
      continue;
    }
    evidence.state = device.row.state;
    evidence.exposed = device.row.exposed;
    evidence.dispatched_at = device.dispatched_at;
    evidence.samples.clear();
    for (auto const& gate : rollout_.policy.absolute) evidence.samples.push_back(gate.metric == kInstallFailure ? Samples{} : samples_of(device, gate));
    fold.add(evidence);
    to_revert += device.online && !device.dead && must_return(*view_, device.row, device.facts);
  }
  fold.facts.undispatched = undispatched;
  fold.facts.to_revert = to_revert;
  return fold.facts;
}

void VirtualFleet::note_silence() {
  for (auto& device : devices_) {
    if (!device.told || !ds::is_undecided(device.row.state) || now_ < device.silent_at) continue;
    if (device.online && !device.dead) device.silent_at = now_ + silence_;
    else leave_work(device, ds::kSilent);
  }
}

/// What the end of a live rollout does to devices that have not switched.
void VirtualFleet::drop_unswitched() {
  for (auto& device : devices_) {
    if (!device.told) continue;
    bool const at_work = ds::is_undecided(device.row.state) || device.row.state == ds::kSilent;
    if (!device.row.exposed && at_work) leave_work(device, ds::kDropped);
    if (device.row.exposed && device.row.state == ds::kFailed) device.row.state = ds::kReverted;
  }
}

Result<void> VirtualFleet::apply(Verdict const& verdict, Facts const& facts) {
  rollout_.latches = verdict.latches;
  if (verdict.start_bake) rollout_.bake_since = now_;
  if (!verdict.event) return {};
  auto const to = next_state(rollout_.state, *verdict.event);
  if (!to) return Error{Kind::internal, "no_edge", fmt::format("the judge said {} in state {}", to_string(*verdict.event), to_string(rollout_.state))};
  rollout_.state = *to;
  bool const returned = *verdict.event == Event::all_reverted;
  if (!returned) {
    outcome_.stage = rollout_.stage;
    outcome_.reason = verdict.reason;
    outcome_.took = now_ - kStart;
  }
  auto const told = std::count_if(devices_.begin(), devices_.end(), [](Device const& device) { return device.told; });
  outcome_.moments.push_back({now_ - kStart, rollout_.state, rollout_.stage, told, facts.exposed, facts.healthy,
                              facts.decided - facts.healthy - facts.silent.bad, facts.silent.bad, verdict.reason});
  if (*verdict.event == Event::widen) enter_stage(rollout_, rollout_.stage + 1, now_);
  if (*verdict.event == Event::roll_back) drop_unswitched();
  return returned ? Result<void>{} : refresh();
}

Result<void> VirtualFleet::judge_now() {
  note_silence();
  Standing standing;
  standing.state = rollout_.state;
  standing.stage = rollout_.stage;
  standing.bake_since = rollout_.bake_since;
  standing.deadline = rollout_.deadline;
  standing.latches = rollout_.latches;
  standing.approvals = rollout_.policy.approvals_required;
  auto const facts = gather();
  return apply(judge(rollout_.policy, standing, facts, now_), facts);
}

/// Everybody comes back online, the dead are repaired, and all have ten minutes.
void VirtualFleet::bring_back_all() {
  scenario_.offline = 0;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    device.online = true;
    device.dead = device.bad = device.shocked = false;
    device.online_changes = SysTime::max();
    device.next_poll = now_;
    wake(i);
  }
  live_until(now_ + minutes(10));
}

Outcome VirtualFleet::sum_up() {
  outcome_.state = rollout_.state;
  outcome_.by_harm = !rollout_.latches.empty();
  for (auto const& device : devices_) {
    outcome_.exposed += device.told && device.row.exposed;
    outcome_.harmed += device.told && device.row.exposed && device.bad;
  }
  if (rollout_.state != State::rolled_back) return outcome_;
  bring_back_all();
  outcome_.left_behind =
      std::count_if(devices_.begin(), devices_.end(), [&](Device const& device) { return device.facts.running.versions.at("m") == rollout_.version; });
  return outcome_;
}

Result<Outcome> VirtualFleet::run() {
  rollout_.state = *next_state(rollout_.state, Event::start);
  rollout_.started_at = now_;
  enter_stage(rollout_, 1, now_);
  FLEET_CHECK(refresh());
  auto const goes_on = [&] { return rollout_.state == State::running || rollout_.state == State::rolling_back; };
  while (goes_on() && now_ < kStart + kLongest) {
    live_until(now_ + std::max(kJudgeEvery, (now_ - rollout_.stage_since.value_or(now_)) / 100));
    FLEET_CHECK(judge_now());
  }
  if (goes_on()) outcome_.took = now_ - kStart;
  return sum_up();
}

}  // namespace fleet::simulation
