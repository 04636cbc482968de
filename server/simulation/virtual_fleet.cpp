#include "server/simulation/virtual_fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::simulation {
namespace {

using namespace fleet::rollout;
namespace ds = device_state;

constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute;
constexpr std::int64_t kFetch = 2 * kMinute, kReturn = kMinute / 2, kDrift = 48 * kHour, kLongest = 60 * 24 * kHour;
/// Looks are no closer than that: what a server does within a second makes no difference to hours.
constexpr std::int64_t kLookEvery = kMinute;
constexpr Millis kParkedPoll = seconds(55);
constexpr SysTime kStart = from_unix_ms(1'800'000'000'000);
constexpr auto kKinds = std::to_array<std::string_view>({row_kind::kPlain, row_kind::kGolden, row_kind::kNoEvidence, row_kind::kThere});
constexpr std::uint8_t kNoOutcome = 255;

std::uint8_t index_of(std::string_view state) {
  auto const* const found = std::find(ds::kNames.begin(), ds::kNames.end(), state);
  return found == ds::kNames.end() ? kNoOutcome : static_cast<std::uint8_t>(found - ds::kNames.begin());
}
std::string_view name_of(std::uint8_t index) { return index == kNoOutcome ? std::string_view() : ds::kNames.at(index); }

std::int64_t part(double share, std::int64_t whole) { return static_cast<std::int64_t>(share * static_cast<double>(whole)); }

Habits habits_of(Scenario const& scenario) {
  Habits out;
  out.poll = Millis(scenario.poll.count() * 3 / 2);  // with its jitter
  if (scenario.long_poll) out.parked = kParkedPoll;
  return out;
}

}  // namespace

VirtualFleet::VirtualFleet(Scenario const& scenario, Policy const& policy, int devices, std::uint64_t seed) : scenario_(scenario), weather_(scenario_, seed) {
  rollout_.n = 1;
  rollout_.id = "r_sim";
  rollout_.model = "m";
  rollout_.version = "2";
  rollout_.policy = policy;
  rollout_.salt = fmt::format("m@2#{}", seed);
  rollout_.release_state = "approved";
  silence_ms_ = silent_after(habits_of(scenario_), policy.silent.value_or(SilentGate{}).after_reports).count();
  scratch_.labels = {{"site", ""}};
  scratch_.running.versions["m"] = "1";
  make_devices(devices);
}

void VirtualFleet::make_devices(int devices) {
  devices_.resize(static_cast<std::size_t>(devices));
  Places places;
  std::map<std::string, std::uint16_t, std::less<>> strata;
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    device.around = weather_.make(i);
    device.outcome = kNoOutcome;
    double const spread = scenario_.noise_spread;
    device.chance = static_cast<float>(scenario_.base * std::exp(spread * device.around.dice.normal() - spread * spread / 2));
    auto const& facts = facts_of(i);
    device.place = place(rollout_.salt, facts.id);
    auto const stratum = stratum_of(rollout_.policy.strata, facts.hardware, facts.labels);
    auto const [known, fresh] = strata.try_emplace(stratum, static_cast<std::uint16_t>(strata_.size()));
    if (fresh) {
      strata_.push_back(stratum);
      by_place_.emplace_back();
    }
    device.stratum = known->second;
    by_place_[device.stratum].push_back(i);
    places[stratum].push_back(device.place);
  }
  for (auto& stratum : by_place_)
    std::sort(stratum.begin(), stratum.end(), [&](std::uint32_t a, std::uint32_t b) { return devices_[a].place < devices_[b].place; });
  auto const outcome = scenario_.probation + Millis(silence_ms_);
  auto plan = plan_of_places(rollout_.policy, places, outcome);
  rollout_.policy = std::move(plan.policy);
  ladder_ = std::make_shared<Ladder const>(std::move(plan.ladder));
}

registry::DeviceFacts const& VirtualFleet::facts_of(std::uint32_t index) {
  auto const& device = devices_[index];
  scratch_.n = index + 1;
  scratch_.id = fmt::format("device-{}", index);
  scratch_.hardware = fmt::format("hw-{}", index % static_cast<std::uint32_t>(scenario_.hardware));
  scratch_.labels["site"] = fmt::format("site-{}", device.around.site);
  scratch_.running.versions["m"] = device.runs_new ? "2" : "1";
  return scratch_;
}

std::int64_t VirtualFleet::service(std::int64_t at) const { return weather_.service(at); }

/// What raising the policy epoch does on the server: who belongs to the rollout decides anew at the next poll.
Result<void> VirtualFleet::refresh() {
  FLEET_TRY(auto view, make_view(rollout_, ladder_));
  for (int i = 0; i < scenario_.hardware; ++i) view.variants.emplace(fmt::format("hw-{}", i), scenario_.bytes);
  if (view_ != nullptr) {
    view.at_work = view_->at_work;
    view.line_free_at = view_->line_free_at;
  }
  view_ = std::make_shared<RolloutView const>(std::move(view));
  auto snapshot = std::make_shared<Snapshot>();
  put_view(*snapshot, view_);
  sort_views(*snapshot);
  snapshot_ = std::move(snapshot);
  return {};
}

/// Devices of the open window, or those that must return: their next poll tells them. Who has nothing to hear is not simulated.
void VirtualFleet::wake_members() {
  bool const back = rollout_.state == State::rolling_back;
  for (std::size_t s = 0; s < strata_.size(); ++s) {
    auto const upper = ladder_->threshold(std::max(rollout_.progress.controls, rollout_.progress.canaries), strata_[s]);
    for (auto const index : by_place_[s]) {
      auto const& device = devices_[index];
      bool const beyond = device.place >= upper && !(view_->was_held_back(strata_[s], device.place) && rollout_.stage >= rollout_.policy.stage_count());
      if (beyond) {
        if (rollout_.policy.holdback == 0) break;
        continue;
      }
      if (device.dead || (device.act != Act::none && device.act != Act::poll && !back)) continue;
      bool const done = device.told && device.arm == Arm::canary && !(back && device.exposed);
      if (!done) wake(index, Act::poll, weather_.next_poll(devices_[index].around, now_));
    }
  }
}

void VirtualFleet::wake(std::uint32_t index, Act act, std::int64_t at) {
  devices_[index].act = act;
  devices_[index].act_at = at;
  events_.push({at, index, false});
}

void VirtualFleet::watch(std::uint32_t index, std::int64_t at) {
  devices_[index].quiet_at = at;
  events_.push({at, index, true});
}

void VirtualFleet::live_until(std::int64_t until) {
  while (!events_.empty() && events_.top().at <= until) {
    auto const event = events_.top();
    events_.pop();
    auto const& device = devices_[event.device];
    if (device.dead && !event.quiet) continue;
    if (event.at != (event.quiet ? device.quiet_at : device.act_at) || (!event.quiet && device.act == Act::none)) continue;
    now_ = std::max(now_, event.at);
    if (event.quiet) look_if_quiet(event.device);
    else act(event.device);
  }
  now_ = until;
}

void VirtualFleet::act(std::uint32_t index) {
  auto& device = devices_[index];
  if (!weather_.reaches(device.around, now_)) {
    auto const back = weather_.back_at(device.around, now_);
    return wake(index, device.act, back + part(device.around.dice.uniform(), 2 * kMinute));
  }
  auto const what = device.act;
  device.act = Act::none;
  if (what == Act::poll) poll(index);
  if (what == Act::start) start(index);
  if (what == Act::result) finish(index);
  if (what == Act::back) {
    device.runs_new = false;
    move(device, ds::kReverted, row_kind::kPlain, true, false);
  }
}

void VirtualFleet::poll(std::uint32_t index) {
  auto& device = devices_[index];
  rows_.clear();
  if (device.told) {
    auto& row = rows_[rollout_.n];
    row.state = name_of(device.state);
    row.exposed = device.exposed;
    row.from_version = "1";
    row.attempt = device.attempt;
    row.arm = device.arm;
  }
  auto const decided = decide_model(*snapshot_, "m", facts_of(index), rows_, kStart + Millis(now_));
  if (decided.retry_soon) return wake(index, Act::poll, now_ + 5'000);
  if (decided.desired.joins) return dispatch(index, decided.desired);
  bool const returns = decided.desired.target.action == wire::Action::revert && name_of(device.state) != ds::kReverting;
  if (!returns) return;
  move(device, ds::kReverting, name_of(device.kind == 0 ? kNoOutcome : 0).empty() ? row_kind::kPlain : kKinds[device.kind], true, false);
  wake(index, Act::back, now_ + kReturn);
}

CountKey VirtualFleet::key_of(Device const& device) const {
  return {strata_[device.stratum], device.arm, device.window, name_of(device.state), name_of(device.outcome), device.exposed, kKinds[device.kind]};
}

/// Counts a row, or takes it out of the counts, before it changes.
void VirtualFleet::put(Device const& device, std::int64_t devices) {
  auto const packed = (std::uint64_t{device.stratum} << 48) | (static_cast<std::uint64_t>(device.window & 0xffffff) << 24) | (std::uint64_t{device.state} << 16) |
                      (std::uint64_t{device.outcome} << 8) | (std::uint64_t{device.kind} << 4) | (static_cast<std::uint64_t>(device.arm) << 1) |
                      static_cast<std::uint64_t>(device.exposed);
  counts_[packed] += devices;
  count(look_.facts, key_of(device), devices, rollout_.progress.window);
  changed_ = true;
}

/// Another window is open: what is known is counted anew, as the server reads it.
void VirtualFleet::recount() {
  look_.facts = {};
  for (auto const& [packed, devices] : counts_) {
    if (devices == 0) continue;
    Device device;
    device.stratum = static_cast<std::uint16_t>(packed >> 48);
    device.window = static_cast<std::int32_t>((packed >> 24) & 0xffffff);
    device.state = static_cast<std::uint8_t>(packed >> 16);
    device.outcome = static_cast<std::uint8_t>(packed >> 8);
    device.kind = static_cast<std::uint8_t>((packed >> 4) & 15);
    device.arm = static_cast<Arm>((packed >> 1) & 3);
    device.exposed = (packed & 1) != 0;
    count(look_.facts, key_of(device), devices, rollout_.progress.window);
  }
}

void VirtualFleet::move(Device& device, std::string_view state, std::string_view kind, bool exposed, bool starts) {
  auto const was_at_work = ds::is_undecided(name_of(device.state));
  put(device, -1);
  device.state = index_of(state);
  device.outcome = index_of(outcome_after(name_of(device.outcome), state));
  device.kind = static_cast<std::uint8_t>(std::find(kKinds.begin(), kKinds.end(), kind) - kKinds.begin());
  device.exposed = device.exposed || exposed;
  if (starts && device.window == 0) device.window = rollout_.progress.current();
  device.since = service(now_);
  put(device, 1);
  if (was_at_work && !ds::is_undecided(state)) view_->at_work->fetch_sub(1);
}

void VirtualFleet::dispatch(std::uint32_t index, Desired const& desired) {
  auto& device = devices_[index];
  if (device.told) put(device, -1);
  device.told = true;
  device.arm = desired.arm;
  device.attempt = static_cast<std::int32_t>(desired.target.attempt);
  device.state = index_of(ds::kDispatched);
  device.outcome = kNoOutcome;
  device.kind = 0;
  device.window = 0;
  device.since = service(now_);
  put(device, 1);
  view_->at_work->fetch_add(1);
  bool const canary = desired.arm == Arm::canary;
  if (auto const rate = static_cast<std::int64_t>(rollout_.policy.egress); rate > 0 && canary)
    view_->line_free_at->store(std::max(view_->line_free_at->load(), to_unix_ms(kStart) + now_) + scenario_.bytes * 1000 / rate);
  auto& dice = device.around.dice;
  wake(index, Act::start, now_ + (canary ? part(.5 + 1.5 * dice.uniform(), kFetch) : part(dice.uniform(), kMinute)));
  watch(index, now_ + silence_ms_);
}

/// It switches and begins its probation, or its proof. What will come of it is drawn now.
void VirtualFleet::start(std::uint32_t index) {
  auto& device = devices_[index];
  bool const canary = device.arm == Arm::canary;
  if (!ds::is_undecided(name_of(device.state)) && name_of(device.state) != ds::kSilent) return;  // dropped meanwhile
  auto& dice = device.around.dice;
  double base = device.chance;
  if (scenario_.drift_to && scenario_.base > 0)
    base *= 1 + (*scenario_.drift_to / scenario_.base - 1) * std::min(1., static_cast<double>(now_) / static_cast<double>(kDrift));
  double const chance = dice.uniform(), harm = dice.uniform();
  bool const by_base = chance < base;
  // The harm comes on top of what would have failed anyhow, so that the chance in all is what the scenario says.
  double const more = scenario_.kind == HarmKind::fails && scenario_.base < 1 ? std::max(0., (scenario_.harm - scenario_.base) / (1 - scenario_.base)) : scenario_.harm;
  bool const harmed = canary && scenario_.kind != HarmKind::metric && harm < more;
  device.fails = by_base || (harmed && scenario_.kind == HarmKind::fails);
  if (canary) {
    device.runs_new = true;
    device.harmed = device.harmed || (harmed && !by_base) || (scenario_.kind == HarmKind::metric && scenario_.harmful());
  }
  if (name_of(device.state) != ds::kSilent) move(device, ds::kProbation, row_kind::kPlain, canary, true);
  watch(index, now_ + silence_ms_);
  if (harmed && scenario_.kind == HarmKind::silent) {
    device.dead = true;
    device.around.since = now_;
    return;
  }
  auto const probation = scenario_.probation.count();
  wake(index, Act::result, now_ + (device.fails ? part(dice.uniform(), probation) : probation));
}

void VirtualFleet::finish(std::uint32_t index) {
  auto& device = devices_[index];
  bool const canary = device.arm == Arm::canary;
  if (device.fails && canary) device.runs_new = false;  // it went back by itself
  auto const state = name_of(device.state);
  if (state == ds::kSilent || state == ds::kReverting || state == ds::kReverted || state == ds::kDropped) return;
  bool const taken_back = rollout_.state == State::rolling_back && device.fails && canary;
  move(device, device.fails ? ds::kFailed : ds::kHealthy, row_kind::kPlain, canary, true);
  if (taken_back) move(device, ds::kReverted, row_kind::kPlain, true, false);
  device.quiet_at = 0;
}

void VirtualFleet::look_if_quiet(std::uint32_t index) {
  auto& device = devices_[index];
  device.quiet_at = 0;
  if (!device.told || !ds::is_undecided(name_of(device.state))) return;
  auto const reached = !device.dead && weather_.reaches(device.around, now_);
  auto const heard = reached ? now_ : device.dead ? device.around.since : weather_.heard(device.around, now_);
  auto const heard_service = std::max(service(heard), weather_.silence_from(now_));
  auto const found = look_quiet(Millis(heard_service), Millis(device.since), Millis(silence_ms_), Millis{0}, Millis(service(now_)));
  if (found.silent) {
    if (auto const state = quiet_state(device.window); state != name_of(device.state)) move(device, state, kKinds[device.kind], false, false);
    return;
  }
  watch(index, now_ + std::max<std::int64_t>(kMinute, found.look_again.count() - service(now_)));
}

/// What the end of a live rollout does to its rows.
void VirtualFleet::settle() {
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    if (!device.told) continue;
    if (auto const state = settled(name_of(device.state), device.exposed); !state.empty()) {
      move(device, state, kKinds[device.kind], false, false);
      if (device.act != Act::none) device.act = Act::none;
    } else if (device.exposed && !device.runs_new && device.arm == Arm::canary) {
      move(device, ds::kReverted, kKinds[device.kind], true, false);
    }
  }
}

std::int64_t VirtualFleet::count_to_return() const {
  return std::count_if(devices_.begin(), devices_.end(), [&](Device const& device) {
    auto around = device.around;
    return device.exposed && !device.dead && device.runs_new && name_of(device.state) != ds::kReverted && weather_.reaches(around, now_);
  });
}

void VirtualFleet::note(Verdict const& verdict) {
  auto const& folded = rollout_.progress.folded;
  Moment out;
  out.after = Millis(now_);
  out.state = rollout_.state;
  out.stage = rollout_.stage;
  out.window = rollout_.progress.window;
  out.told = look_.facts.told;
  out.exposed = look_.facts.exposed;
  out.healthy = look_.facts.healthy;
  out.failed = look_.facts.failed;
  out.silent = look_.facts.silent;
  out.control_failed = folded.control_failed.bad + folded.control_silent.bad;
  out.controls = folded.controls;
  out.harm = -9;
  for (auto const& gate : verdict.gates)
    if (gate.test == "harm" && gate.threshold > 0 && gate.e_value > 0) out.harm = std::max(out.harm, std::log10(gate.e_value / gate.threshold));
  out.reason = verdict.reason;
  outcome_.moments.push_back(std::move(out));
}

Result<void> VirtualFleet::apply(Verdict const& verdict) {
  rollout_.latches = verdict.latches;
  if (verdict.event) {
    auto const to = next_state(rollout_.state, *verdict.event);
    if (!to) return Error{Kind::internal, "no_edge", fmt::format("the judge said {} in state {}", to_string(*verdict.event), to_string(rollout_.state))};
    rollout_.state = *to;
    if (*verdict.event != Event::all_reverted) {
      outcome_.stage = rollout_.stage;
      outcome_.reason = verdict.reason;
      outcome_.took = Millis(now_);
      outcome_.canaries = rollout_.progress.folded.canaries;
      for (auto const& gate : verdict.gates)
        if (gate.test == "harm" && gate.decision != Ruling::hold && outcome_.gate.empty()) outcome_.gate = gate.name;
    }
    if (*verdict.event == Event::widen) ++rollout_.stage;
  }
  if (verdict.event || verdict.closed_window) note(verdict);
  if (!verdict.event && !verdict.told_anew) return {};
  recount();
  FLEET_CHECK(refresh());
  if (rollout_.state == State::rolling_back) {
    settle();
    for (std::uint32_t i = 0; i < devices_.size(); ++i)
      if (devices_[i].exposed && devices_[i].runs_new && !devices_[i].dead) wake(i, Act::poll, weather_.next_poll(devices_[i].around, now_));
  } else if (rollout_.state == State::running) {
    wake_members();
  }
  return {};
}

Result<void> VirtualFleet::look() {
  look_.service = Millis(service(now_));
  auto& standing = look_.standing;
  standing.state = rollout_.state;
  standing.stage = rollout_.stage;
  standing.latches = rollout_.latches;
  standing.approvals = rollout_.policy.approvals_required;
  if (rollout_.state == State::rolling_back) look_.facts.to_revert = count_to_return();
  look_at_ = INT64_MAX;
  changed_ = false;
  auto stepped = step(view_->setting(), rollout_.progress, look_);
  bool const was_shut = rollout_.progress.shut;
  rollout_.progress = std::move(stepped.progress);
  if (stepped.verdict.look_at) look_at_ = now_ + std::max<std::int64_t>(1, stepped.verdict.look_at->count() - service(now_));
  FLEET_CHECK(apply(stepped.verdict));
  if (was_shut != rollout_.progress.shut && !stepped.verdict.told_anew) return refresh();  // controls are told no more
  return {};
}

/// Everybody comes back online, the dead are repaired, and all have an hour.
void VirtualFleet::bring_back_all() {
  weather_.clear_up();
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    device.dead = false;
    if (device.exposed && device.runs_new) wake(i, Act::poll, weather_.next_poll(device.around, now_));
  }
  live_until(now_ + std::max<std::int64_t>(kHour, 2 * scenario_.poll.count()));
}

Outcome VirtualFleet::sum_up() {
  outcome_.state = rollout_.state;
  for (auto const& device : devices_) {
    outcome_.exposed += device.exposed;
    outcome_.harmed += device.exposed && device.harmed;
  }
  if (rollout_.state != State::rolled_back) return std::move(outcome_);
  bring_back_all();
  outcome_.left_behind = std::count_if(devices_.begin(), devices_.end(), [](Device const& device) { return device.runs_new; });
  return std::move(outcome_);
}

Result<Outcome> VirtualFleet::run() {
  rollout_.state = *next_state(rollout_.state, Event::start);
  rollout_.stage = 1;
  rollout_.progress = enter({rollout_.policy, *ladder_}, {}, 1, false, Millis(0));
  FLEET_CHECK(refresh());
  wake_members();
  auto const goes_on = [&] { return rollout_.state == State::running || rollout_.state == State::rolling_back; };
  while (goes_on() && now_ < kLongest) {
    auto const next = events_.empty() ? kLongest : events_.top().at;
    live_until(std::min({std::max(next, now_ + kLookEvery), std::max(look_at_, now_ + 1), kLongest}));
    look_.service = Millis(service(now_));
    if (now_ >= look_at_ || (changed_ && may_move(view_->setting(), rollout_.progress, look_))) FLEET_CHECK(look());
  }
  if (goes_on()) outcome_.took = Millis(now_);
  return sum_up();
}

}  // namespace fleet::simulation
