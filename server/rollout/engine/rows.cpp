#include "server/rollout/engine/rows.hpp"

#include "server/rollout/policy/states.hpp"

#include <algorithm>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

constexpr auto kShows = std::to_array<Shows>({
    {"checking", ds::kDownloading, false, false},
    {"downloading", ds::kDownloading, false, false},
    {"staged", ds::kDownloading, false, false},
    {"waiting", ds::kWaiting, false, false},
    {"testing", ds::kTesting, false, true},
    {"switching", ds::kTesting, false, true},
    {"probation", ds::kProbation, true, true},
    {"committed", ds::kHealthy, true, true},
    {"proving", ds::kProbation, false, true},
    {"proved", ds::kHealthy, false, true},
    {"ineligible", ds::kIneligible, false, false},
    {"failed", ds::kFailed, false, false},
    {"rolling_back", ds::kFailed, false, false},
    {"rolled_back", ds::kFailed, false, false},
});

/// Codes of what the device's owner did or has set up, which says nothing about the release.
constexpr auto kOfTheOwner = std::to_array<std::string_view>({"operator", "held", "rolled_back_by_owner", "unknown_user", "unknown_program", "run_as_required", "run_as_needs_root", "not_started"});
/// Codes of the network and the disk: no evidence beside a control, which fetches nothing, and for `agent.install_failure` alone. Of a release that runs they
/// are its failures as any other: it may have filled the disk.
constexpr auto kOfTheWay = std::to_array<std::string_view>({"network", "disk_full", "io", "timeout", "unavailable", "throttled"});

template <class Codes>
bool has(Codes const& codes, std::string_view code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

RowMove failure(std::string_view row_state, std::string_view code, bool exposed) {
  if (code.empty() || has(kOfTheOwner, code)) return {ds::kFailed, exposed, row_kind::kNoEvidence, false};  // empty: somebody on the device asked for it
  bool const before_test = row_state == ds::kDropped || row_state == ds::kDispatched || row_state == ds::kDownloading || row_state == ds::kWaiting;
  bool const before_switch = code.starts_with("golden") || code.starts_with("shadow");
  bool const tested = before_switch || code.starts_with("health") || code.starts_with("probation") || code.starts_with("activate");
  if ((before_test && !tested) || (row_state != ds::kProbation && has(kOfTheWay, code))) return {ds::kFailed, exposed, row_kind::kInstall, false};
  return {ds::kFailed, exposed, before_switch ? row_kind::kGolden : row_kind::kPlain, true};
}

void count_cell(Cell& cell, CountKey const& key, std::int64_t devices, bool undecided) {
  cell.started += devices;
  if (key.state == ds::kLeft && key.outcome.empty()) cell.left += devices;
  else if (key.outcome == ds::kHealthy) cell.healthy += devices;
  else if (key.outcome == ds::kFailed) (key.kind == row_kind::kGolden ? cell.golden : cell.failed) += devices;
  else if (key.outcome == ds::kSilent) cell.silent += devices;
  else if (undecided) cell.undecided += devices;
  else cell.started -= devices;  // it was dropped: it proves nothing
}

bool is_parked(CountKey const& key) { return key.state == ds::kWaiting && key.window == 0; }

/// A device of the control, or one that proves the holdback: it counts in its window alone. So does one of a test's other release.
void count_control(Facts& facts, CountKey const& key, std::int64_t devices, bool undecided, int window) {
  if (key.exposed) facts.exposed += devices;
  if (key.tries_again) return;
  if (undecided) facts.at_work += devices;
  if (is_parked(key)) facts.parked += devices;
  if (undecided && key.window == 0 && key.state != ds::kWaiting) facts.preparing += devices;
  if (key.state != ds::kWaiting) facts.beside_told += devices;
  if (key.kind == row_kind::kInstall && key.outcome == ds::kFailed) facts.beside_install_failed += devices;
  bool const evidence = key.kind == row_kind::kPlain || key.kind == row_kind::kGolden;
  if (evidence && key.window != 0 && key.window == window) count_cell(facts.window[key.stratum][1], key, devices, undecided);
}

}  // namespace

Shows const* shows(std::string_view reported) {
  auto const* const found = std::find_if(kShows.begin(), kShows.end(), [&](Shows const& one) { return one.reported == reported; });
  return found == kShows.end() ? nullptr : found;
}

std::optional<RowMove> move_of(std::string_view row_state, wire::UpdateItem const& item) {
  auto const* const shown = shows(item.state);
  if (shown == nullptr) return std::nullopt;
  bool const exposed = shown->exposed || (!item.version.empty() && item.running_version == item.version && !item.state.starts_with("prov"));
  // Final for the gate, even if the device returns; what it ran is noted all the same, so that it can be taken back.
  if (row_state == ds::kSilent) return RowMove{ds::kSilent, exposed};
  if (row_state == ds::kReverted || row_state == ds::kReverting || row_state == ds::kLeft) return exposed ? std::optional(RowMove{row_state, true}) : std::nullopt;
  if (row_state == ds::kDropped) {  // it missed the abort, or was left out and came after all: what it did is told as it was
    bool const failed = shown->row == ds::kFailed && item.error.code != "ineligible";
    if (failed && !exposed) {
      auto const move = failure(row_state, item.error.code, exposed);
      return move.kind == row_kind::kPlain || move.kind == row_kind::kGolden ? std::optional(move) : std::nullopt;  // the owner's word, and the network's, are of an order that was gone
    }
    if (!exposed) return std::nullopt;
    return RowMove{shown->row, true, row_kind::kPlain, shown->starts};
  }
  if (shown->row != ds::kFailed) return RowMove{shown->row, exposed, row_kind::kPlain, shown->starts};
  if (item.error.code == "ineligible") return RowMove{ds::kIneligible, exposed};
  if (row_state == ds::kFailed) return RowMove{ds::kFailed, exposed};  // failed, then rolled back: the first told the cause
  return failure(row_state, item.error.code, exposed);
}

bool tries_again(Arm arm, std::string_view state, std::int64_t attempt, std::int64_t rollout_attempt) {
  return installs(arm) && state == ds::kFailed && attempt < rollout_attempt;
}

void count(Facts& facts, CountKey const& key, std::int64_t devices, int window) {
  bool const undecided = ds::is_undecided(key.state);
  bool const once_more = undecided && !key.outcome.empty();  // it tries again: what it came to at first stands, and no window waits for it
  if (side_of(key.arm) != 0) return count_control(facts, key, devices, undecided && !once_more, window);
  if (key.exposed) facts.exposed += devices;
  if (key.tries_again) return;
  bool const evidence = key.kind == row_kind::kPlain || key.kind == row_kind::kGolden;
  if (evidence && key.window > window) facts.later += devices;
  if (evidence && key.window != 0 && key.window == window) count_cell(facts.window[key.stratum][0], key, devices, undecided);
  if (undecided) facts.at_work += devices;
  if (is_parked(key)) facts.parked += devices;
  if (key.state == ds::kLeft) {
    facts.left += devices;
    return;
  }
  facts.told += devices;
  if (key.outcome == ds::kHealthy && key.kind == row_kind::kThere) facts.there += devices;
  if (undecided && !once_more) facts.undecided += devices;
  if (key.state == ds::kWaiting && !once_more) facts.waiting += devices;
  else if (undecided && !once_more && key.window == 0) facts.preparing += devices;
  if (key.kind == row_kind::kInstall && key.outcome == ds::kFailed) facts.install_failed += devices;
  if (!evidence || key.outcome.empty() || key.outcome == ds::kIneligible) return;
  facts.decided += devices;
  if (key.outcome == ds::kHealthy) facts.healthy += devices;
  if (key.outcome == ds::kFailed) facts.failed += devices;
  if (key.outcome == ds::kFailed && key.state == ds::kHealthy) facts.recovered += devices;
  if (key.outcome == ds::kSilent) facts.silent += devices;
}

std::optional<Millis> again_after(Policy const& policy, Arm arm, std::string_view before, std::int64_t tries, RowMove const& move, Millis now) {
  bool const failed_now = arm == Arm::canary && move.state == ds::kFailed && before != ds::kFailed;
  if (!policy.retry || !failed_now || move.kind == row_kind::kNoEvidence || move.kind == row_kind::kGolden) return std::nullopt;
  auto const pause = policy.retry->pause_after(tries);
  return pause ? std::optional(now + *pause) : std::nullopt;
}

bool tries_once_more(std::int64_t tries, std::string_view outcome) { return tries > 1 && outcome == ds::kFailed; }

std::string_view settled(std::string_view row_state, bool exposed) {
  bool const drops = !exposed && (ds::is_undecided(row_state) || row_state == ds::kSilent);
  return drops ? ds::kDropped : std::string_view();
}

std::string_view quiet_state(int window) { return window == 0 ? ds::kWaiting : ds::kSilent; }

std::string_view outcome_after(std::string_view before, std::string_view state) { return ds::is_outcome(state) ? state : before; }

Millis longest_gap(Habits const& habits) {
  constexpr Millis kLeast = std::chrono::minutes{1};
  return std::max({habits.report, habits.poll, habits.parked, habits.told, kLeast});
}

Millis silent_after(Habits const& habits, int after_reports) { return std::max(1, after_reports) * longest_gap(habits); }

Quiet look_quiet(Millis heard, Millis started, Millis window, Millis result_max, Millis now) {
  auto const heard_until = heard + window;
  auto const result_until = result_max > Millis{0} ? started + result_max + window : Millis::max();
  if (heard_until <= now || result_until <= now) return {true, {}};
  return {false, std::min(heard_until, result_until)};
}

}  // namespace fleet::rollout
