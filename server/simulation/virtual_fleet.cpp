#include "server/simulation/virtual_parts.hpp"

#include <fmt/format.h>

#include <cmath>

namespace fleet::simulation {

using namespace fleet::rollout;
namespace ds = device_state;

namespace {

constexpr std::int64_t kLongest = 60 * 24 * kHour;
/// Looks are no closer than that: what a server does within a second makes no difference to hours.
constexpr std::int64_t kLookEvery = kMinute;
constexpr Millis kParkedPoll = seconds(55);
constexpr std::size_t kStrataMax = 4'096;
constexpr double kNoEvidence = -300;  ///< the logarithm of an e-value that underflowed

Habits habits_of(Scenario const& scenario) {
  Habits out;
  out.poll = Millis(scenario.poll.count() * 3 / 2);  // with its jitter
  if (scenario.long_poll) out.parked = kParkedPoll;
  return out;
}

}  // namespace

VirtualFleet::VirtualFleet(Scenario const& scenario, Policy const& policy, int devices, std::uint64_t seed) : scenario_(scenario), weather_(scenario_, seed), seed_(seed) {
  rollout_.n = 1;
  rollout_.id = "r_sim";
  rollout_.model = "m";
  rollout_.version = "2";
  rollout_.policy = policy;
  rollout_.salt = fmt::format("m@2#{}", seed);
  rollout_.release_state = "approved";
  if (policy.ab) rollout_.against = Against{1, "1", {}, 0, "approved"};  // what all run
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
  make_measures();
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
    view.place_refused_at = view_->place_refused_at;
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
  std::int64_t visited = 0;
  for (auto& [value, site] : sites_) site.waiting.clear();  // all are woken: they wait again
  for (std::size_t s = 0; s < strata_.size(); ++s) {
    auto const upper = ladder_->threshold(std::max(rollout_.progress.controls, rollout_.progress.canaries), strata_[s]);
    auto const canaries = ladder_->threshold(rollout_.progress.canaries, strata_[s]);
    auto const split = rollout_.against ? ladder_->threshold(ladder_->stage_size.front(), strata_[s]) : 0;
    for (auto const index : by_place_[s]) {
      ++visited;
      auto const& device = devices_[index];
      bool const beyond = device.place >= upper && !(view_->was_held_back(strata_[s], device.place) && rollout_.stage >= rollout_.policy.stage_count());
      if (beyond) {
        if (rollout_.policy.holdback == 0) break;
        continue;
      }
      if (device.place >= canaries && device.place < split) continue;  // its turn comes later
      if (device.dead || (device.act != Act::none && device.act != Act::poll && !back)) continue;
      bool const ill = rollout_.progress.quarantined.contains(strata_[s]);
      bool const told = device.told && (device.arm == Arm::canary || rollout_.against), done = told && !((back || ill) && device.exposed && device.runs_new);
      bool const tries_again = device.again_at >= 0;
      await(devices_[index], !told && !back && !ill && (device.place < canaries || rollout_.against), device.away);
      if (!done || tries_again) wake(index, Act::poll, weather_.next_poll(devices_[index].around, now_));
    }
  }
  effort_ += visited / 64;
}

void VirtualFleet::wake(std::uint32_t index, Act act, std::int64_t at) {
  devices_[index].act = act;
  devices_[index].act_at = at;
  events_.push({at, index, Happening::Kind::act});
}

/// Who is a canary and was not told yet, and who of them cannot be.
void VirtualFleet::await(Device& device, bool awaited, bool away) {
  away = away && awaited;
  awaited_ += static_cast<int>(awaited) - static_cast<int>(device.awaited);
  away_ += static_cast<int>(away) - static_cast<int>(device.away);
  device.awaited = awaited;
  device.away = away;
  changed_ = true;
}

void VirtualFleet::watch(std::uint32_t index, std::int64_t at) {
  devices_[index].quiet_at = at;
  events_.push({at, index, Happening::Kind::quiet});
}

void VirtualFleet::live_until(std::int64_t until) {
  while (!events_.empty() && events_.top().at <= until) {
    auto const event = events_.top();
    events_.pop();
    ++effort_;
    auto const& device = devices_[event.device];
    constexpr auto kQuiet = Happening::Kind::quiet, kSamples = Happening::Kind::sample, kActs = Happening::Kind::act;
    if (device.dead && event.kind != kQuiet) continue;
    if (event.at != (event.kind == kQuiet ? device.quiet_at : event.kind == kSamples ? device.sample_at : device.act_at)) continue;
    if (event.kind == kActs && device.act == Act::none) continue;
    now_ = std::max(now_, event.at);
    if (event.kind == kQuiet) look_if_quiet(event.device);
    else if (event.kind == kSamples) sample(event.device);
    else act(event.device);
  }
  now_ = until;
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
  auto& out = outcome_.moments.emplace_back(outcome_.moments.empty() ? Moment{} : outcome_.moments.back());
  if (verdict.closed_window)
    for (auto const& [stratum, cells] : look_.facts.window) {
      out.canaries += cells[0].started;
      out.canaries_bad += cells[0].failed + cells[0].golden + cells[0].silent;
      out.controls += cells[1].started;
      out.controls_bad += cells[1].failed + cells[1].silent;
    }
  out.after = Millis(now_);
  out.state = rollout_.state;
  out.stage = rollout_.stage;
  out.window = rollout_.progress.window;
  out.told = look_.facts.told;
  out.exposed = look_.facts.exposed;
  out.healthy = look_.facts.healthy;
  out.failed = look_.facts.failed;
  out.silent = look_.facts.silent;
  out.evidence.clear();
  for (auto const& gate : verdict.gates)
    if (gate.test == "harm" && gate.threshold > 0) out.evidence.emplace_back(gate.name, gate.e_value > 0 ? std::log10(gate.e_value / gate.threshold) : kNoEvidence);
  out.reason = verdict.reason;
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
    outcome_.winner = to_string(rollout_.progress.winner);
    if (*verdict.event == Event::widen) enter_stage(rollout_, rollout_.stage + 1, kStart + Millis(now_));
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

bool VirtualFleet::is_due() {
  look_.service = Millis(service(now_));
  look_.facts.undispatched = awaited_ - away_;
  look_.facts.offline = away_;
  look_.facts.metrics = tallies_;
  return now_ >= look_at_ || (changed_ && may_move(view_->setting(), rollout_.progress, look_));
}

Result<void> VirtualFleet::look() {
  auto& standing = look_.standing;
  standing.state = rollout_.state;
  standing.stage = rollout_.stage;
  standing.latches = rollout_.latches;
  standing.approvals = rollout_.policy.approvals_required;
  if (rollout_.state == State::rolling_back) look_.facts.to_revert = count_to_return();
  look_at_ = INT64_MAX;
  changed_ = false;
  effort_ += 20 + static_cast<std::int64_t>(strata_.size());
  if (closes_window(view_->setting(), rollout_.progress, look_)) look_.facts.measured = measured();
  auto stepped = step(view_->setting(), rollout_.progress, look_);
  bool const was_shut = rollout_.progress.shut;
  rollout_.progress = std::move(stepped.progress);
  if (stepped.verdict.look_at) look_at_ = now_ + std::max<std::int64_t>(1, stepped.verdict.look_at->count() - service(now_));
  FLEET_CHECK(apply(stepped.verdict));
  if (stepped.verdict.event || stepped.verdict.told_anew) look_at_ = std::min(look_at_, now_ + kLookEvery);  // nobody may be left to say a word
  if (was_shut != rollout_.progress.shut && !stepped.verdict.told_anew) return refresh();  // controls are told no more
  return {};
}

/// Everybody comes back online, the dead are repaired, and all have an hour.
void VirtualFleet::bring_back_all() {
  weather_.clear_up();
  for (std::uint32_t i = 0; i < devices_.size(); ++i) {
    auto& device = devices_[i];
    device.dead = false;
    // Who was on its way back when its network went goes on.
    if (device.exposed && device.runs_new) wake(i, device.act == Act::back ? Act::back : Act::poll, weather_.next_poll(device.around, now_));
  }
  live_until(now_ + std::max<std::int64_t>(kHour, 2 * scenario_.poll.count()));
}

Outcome VirtualFleet::sum_up() {
  outcome_.state = rollout_.state;
  for (auto const& device : devices_) {
    outcome_.exposed += device.switched;
    outcome_.harmed += device.switched && device.harmed;
  }
  if (rollout_.state != State::rolled_back) return std::move(outcome_);
  bring_back_all();
  outcome_.left_behind = std::count_if(devices_.begin(), devices_.end(), [](Device const& device) { return device.runs_new; });
  return std::move(outcome_);
}

Result<Outcome> VirtualFleet::run(std::int64_t effort_max) {
  if (strata_.size() > kStrataMax)
    return Error{Kind::unprocessable, "too_many_strata", fmt::format("{} strata; at most {} are simulated", strata_.size(), kStrataMax)};
  rollout_.state = *next_state(rollout_.state, Event::start);
  enter_stage(rollout_, 1, kStart);
  rollout_.progress = enter({rollout_.policy, *ladder_, {}}, {}, 1, false, Millis(0));
  FLEET_CHECK(refresh());
  wake_members();
  auto const goes_on = [&] { return rollout_.state == State::running || rollout_.state == State::rolling_back; };
  while (goes_on() && now_ < kLongest) {
    auto const next = events_.empty() ? kLongest : events_.top().at;
    live_until(std::min({std::max(next, now_ + kLookEvery), std::max(look_at_, now_ + 1), kLongest}));
    if (effort_ > effort_max)
      return Error{Kind::unprocessable, "too_much_to_simulate", "this policy over such a fleet takes more work than may be asked for", "simulate fewer devices or runs, or use fleet-sim"};
    if (is_due()) FLEET_CHECK(look());
  }
  if (goes_on()) outcome_.took = Millis(now_);
  outcome_.effort = effort_;
  return sum_up();
}

}  // namespace fleet::simulation
