#include "server/simulation/virtual_parts.hpp"

#include "server/rollout/engine/turn.hpp"

/// What one virtual device does: polls, switches or proves, fails or does not, falls silent, comes back; and where that moves its row.
namespace fleet::simulation {

using namespace fleet::rollout;
namespace ds = device_state;

namespace {

constexpr std::int64_t kFetch = 2 * kMinute, kReturn = kMinute / 2, kDrift = 48 * kHour;

}  // namespace

void VirtualFleet::act(std::uint32_t index) {
  auto& device = devices_[index];
  bool const reaches = weather_.reaches(device.around, now_);
  if (device.awaited) await(device, true, !reaches);
  if (!reaches) {
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
    row.stage = device.stage;
    if (device.again_at >= 0) row.again = Millis(device.again_at);
  }
  auto const decided = decide_model(*snapshot_, "m", facts_of(index), rows_, {{kStart + Millis(weather_.wall(now_)), Millis(service(now_))}, beside(index)});
  if (decided.retry_soon) return wake(index, Act::poll, now_ + 5'000);
  if (decided.waits_at) {
    sites_[site_at(index)].waiting.push_back(index);
    return;
  }
  if (decided.desired.joins) return dispatch(index, decided.desired);
  if (decided.valid_until) {  // a freeze ends, or the pause after a failure
    auto const stands = *decided.valid_until - (kStart + Millis(weather_.wall(now_)));
    return wake(index, Act::poll, weather_.next_poll(device.around, now_ + std::max<std::int64_t>(stands.count(), 1'000)));
  }
  bool const returns = decided.desired.target.action == wire::Action::revert && name_of(device.state) != ds::kReverting;
  if (!returns) return;
  move(device, ds::kReverting, name_of(device.kind == 0 ? kNoOutcome : 0).empty() ? row_kind::kPlain : kKinds[device.kind], true, false);
  wake(index, Act::back, now_ + kReturn);
}

std::uint32_t VirtualFleet::site_at(std::uint32_t index) const {
  auto const& limit = rollout_.policy.per_place;
  return limit && limit->label == "hardware" ? index % static_cast<std::uint32_t>(scenario_.hardware) : static_cast<std::uint32_t>(devices_[index].around.site);
}

/// What the server reads of its places.
std::map<std::string, std::int64_t, std::less<>> VirtualFleet::beside(std::uint32_t index) {
  auto const& limit = rollout_.policy.per_place;
  if (!limit) return {};
  auto const found = sites_.find(site_at(index));
  return {{limit->label, found == sites_.end() ? 0 : found->second.held - static_cast<int>(devices_[index].holds)}};
}

/// Some of those that wait come next: who can be reached, where any can.
void VirtualFleet::free_place(Device& device) {
  constexpr std::size_t kWoken = 16;
  device.holds = false;
  auto& site = sites_[site_at(static_cast<std::uint32_t>(&device - devices_.data()))];
  --site.held;
  auto const reached = std::stable_partition(site.waiting.begin(), site.waiting.end(), [&](std::uint32_t one) { return !weather_.reaches(devices_[one].around, now_); });
  auto const woken = reached == site.waiting.end() ? site.waiting.begin() : reached;
  auto const end = std::min<std::ptrdiff_t>(kWoken, (woken == reached ? site.waiting.end() : reached) - woken);
  for (auto one = woken; one != woken + end; ++one) wake(*one, Act::poll, weather_.next_poll(devices_[*one].around, now_));
  effort_ += static_cast<std::int64_t>(site.waiting.size()) / 64;
  site.waiting.erase(woken, woken + end);
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
  if (!tries_once_more(device.tries, name_of(device.outcome))) {
    device.outcome = index_of(outcome_after(name_of(device.outcome), state));
    device.kind = static_cast<std::uint8_t>(std::find(kKinds.begin(), kKinds.end(), kind) - kKinds.begin());
  }
  device.exposed = device.exposed || exposed;
  device.switched = device.switched || exposed;
  if (starts && device.window == 0) device.window = rollout_.progress.current();
  device.since = service(now_);
  put(device, 1);
  if (was_at_work && !ds::is_undecided(state)) view_->at_work->fetch_sub(1);
  if (device.holds && !ds::is_undecided(state) && state != ds::kReverting) free_place(device);
}

/// It is told, or told again after it failed: what it came to at first stands then.
void VirtualFleet::dispatch(std::uint32_t index, Desired const& desired) {
  auto& device = devices_[index];
  bool const once_more = device.told && device.again_at >= 0;
  if (device.told) {
    put(device, -1);
    if (device.arm != desired.arm) end_samples(index);  // a control that proves again goes on
  }
  device.told = true;
  device.stage = static_cast<std::uint8_t>(std::max(desired.stage, 0));
  device.again_at = -1;
  device.arm = desired.arm;
  if (device.arm == Arm::canary || rollout_.against) await(device, false, false);
  device.attempt = static_cast<std::int32_t>(desired.target.attempt);
  device.state = index_of(ds::kDispatched);
  if (once_more) {
    ++device.tries;
    device.exposed = false;  // it went back
  } else {
    device.outcome = kNoOutcome;
    device.kind = 0;
    device.window = 0;
  }
  device.since = service(now_);
  put(device, 1);
  set_out(index, desired);
}

/// It is at work from now on.
void VirtualFleet::set_out(std::uint32_t index, Desired const& desired) {
  auto& device = devices_[index];
  view_->at_work->fetch_add(1);
  if (desired.takes) {
    device.holds = true;
    ++sites_[site_at(index)].held;
  }
  bool const canary = device.arm == Arm::canary;
  if (auto const rate = rollout_.policy.egress; rate > 0 && canary)
    view_->line_free_at->store(rollout::line_after(view_->line_free_at->load(), Millis(service(now_)), scenario_.bytes, rate));
  auto& dice = device.around.dice;
  wake(index, Act::start, now_ + (canary ? part(.5 + 1.5 * dice.uniform(), kFetch) : part(dice.uniform(), kMinute)));
  watch(index, now_ + silence_ms_);
}

/// Its hardware is of those that the release harms.
bool VirtualFleet::may_harm(std::uint32_t index) const {
  auto const kind = index % static_cast<std::uint32_t>(scenario_.hardware);
  return scenario_.harm_hardware == 0 || kind < static_cast<std::uint32_t>(scenario_.harm_hardware);
}

/// It switches and begins its probation, or its proof. What will come of it is drawn now.
void VirtualFleet::start(std::uint32_t index) {
  auto& device = devices_[index];
  bool const canary = device.arm == Arm::canary;
  if (!ds::is_undecided(name_of(device.state)) && name_of(device.state) != ds::kSilent) return;  // dropped meanwhile
  auto& dice = device.around.dice;
  double base = device.chance;
  if (scenario_.against && !canary && scenario_.base > 0) base *= *scenario_.against / scenario_.base;
  if (scenario_.drift_to && scenario_.base > 0)
    base *= 1 + (*scenario_.drift_to / scenario_.base - 1) * std::min(1., static_cast<double>(now_) / static_cast<double>(kDrift));
  double const chance = dice.uniform(), harm = dice.uniform();
  bool const by_base = chance < base;
  // The harm comes on top of what would have failed anyhow, so that the chance in all is what the scenario says.
  double const more = scenario_.kind == HarmKind::fails && scenario_.base < 1 ? std::max(0., (scenario_.harm - scenario_.base) / (1 - scenario_.base)) : scenario_.harm;
  bool const harmed = canary && scenario_.kind != HarmKind::metric && harm < more && may_harm(index);
  device.fails = by_base || (harmed && scenario_.kind == HarmKind::fails);
  if (canary) {
    device.runs_new = true;
    device.harmed = device.harmed || (harmed && !by_base) || (scenario_.kind == HarmKind::metric && scenario_.harmful() && may_harm(index));
  }
  if (name_of(device.state) != ds::kSilent) move(device, ds::kProbation, row_kind::kPlain, canary, true);
  begin_samples(index);
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
  if (!canary) wake(index, Act::poll, weather_.next_poll(device.around, now_ + kMinute));  // its turn may have come meanwhile
  auto const state = name_of(device.state);
  if (state == ds::kSilent || state == ds::kReverting || state == ds::kReverted || state == ds::kDropped) return;
  bool const taken_back = rollout_.state == State::rolling_back && device.fails && canary;
  tally(index, -1);  // who is healthy may be covered
  RowMove const came{device.fails ? ds::kFailed : ds::kHealthy};
  auto const again = again_after(rollout_.policy, device.arm, state, device.tries, came, Millis(service(now_)));
  move(device, device.fails ? ds::kFailed : ds::kHealthy, row_kind::kPlain, canary, true);
  tally(index, 1);
  if (taken_back) move(device, ds::kReverted, row_kind::kPlain, true, false);
  if (again && !taken_back) {
    device.again_at = again->count();
    wake(index, Act::poll, weather_.next_poll(device.around, now_ + kMinute));
  }
  if (device.runs_new && rollout_.progress.quarantined.contains(strata_[device.stratum])) wake(index, Act::poll, weather_.next_poll(device.around, now_));
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

}  // namespace fleet::simulation
