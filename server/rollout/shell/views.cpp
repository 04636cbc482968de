#include "server/rollout/shell/views.hpp"

#include "core/wire/json_pieces.hpp"
#include "server/rollout/policy/json_number.hpp"
#include "server/rollout/shell/queries.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr int kFailuresShown = 10;

std::int64_t number_in(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : 0;
}

/// Devices by state and by outcome, and how many ever switched.
struct Tallies {
  std::map<std::string, std::int64_t, std::less<>> by_state, by_outcome;
  std::int64_t exposed = 0, told = 0, controls = 0, recovered = 0;
  void add(std::string_view state, std::string_view outcome, bool switched, std::int64_t devices) {
    by_state[std::string(state)] += devices;
    by_outcome[std::string(outcome)] += devices;
    told += devices;
    if (switched) exposed += devices;
    if (state == device_state::kHealthy && outcome == device_state::kFailed) recovered += devices;
  }
  /// How many are in the state now, or came to the outcome, whatever followed it.
  [[nodiscard]] std::int64_t of(std::string_view word) const {
    auto const& counts = device_state::is_outcome(word) ? by_outcome : by_state;
    auto const found = counts.find(word);
    return found == counts.end() ? 0 : found->second;
  }
};

Result<Tallies> count_devices(db::Connection& reader, std::int64_t rollout_n) {
  Tallies out;
  auto rows = reader.prepare(queries::kCounts);
  rows.bind_all(rollout_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    if (rows.int64(4) != 0) out.controls += rows.int64(3);
    else out.add(rows.text_view(0), rows.maybe_text(1).value_or(""), rows.int64(2) != 0, rows.int64(3));
  }
}

std::int64_t planned(Ladder const& ladder, int stage) {
  return stage < 1 ? 0 : ladder.counts.at(static_cast<std::size_t>(ladder.stage_size.at(static_cast<std::size_t>(stage - 1))));
}

double percent_of(Rollout const& rollout, Ladder const& ladder, int stage) {
  if (stage < 1) return 0;
  auto const& spec = rollout.policy.stage(stage).size;
  if (spec.percent) return *spec.percent;
  return ladder.reach() == 0 ? 0 : 100. * static_cast<double>(planned(ladder, stage)) / static_cast<double>(ladder.reach());
}

json::object counts_json(Tallies const& tallies, json::object const& reach, std::int64_t targeted, std::int64_t holdback) {
  namespace ds = device_state;
  return {{"targeted", std::max(targeted, tallies.told)},
          {"holdback", holdback},
          {"dispatched", tallies.told},
          {"controls", tallies.controls},
          {"exposed", tallies.exposed},
          {"healthy", tallies.of(ds::kHealthy)},
          {"failed", tallies.of(ds::kFailed)},
          {"recovered", tallies.recovered},
          {"silent", tallies.of(ds::kSilent)},
          {"waiting", tallies.of(ds::kWaiting)},
          {"offline", number_in(reach, "offline")},
          {"ineligible", number_in(reach, "ineligible") + tallies.of(ds::kIneligible)},
          {"blocked", number_in(reach, "blocked")},
          {"reverting", tallies.of(ds::kReverting)},
          {"reverted", tallies.of(ds::kReverted)},
          {"left", tallies.of(ds::kLeft)}};
}

/// The kept verdict, split into what the object shows and what only `explain` does.
struct Kept {
  json::object verdict, reach;
  json::array history;
};
Kept read_kept(Rollout const& rollout) {
  Kept out;
  auto const value = wire::parse_own(rollout.verdict);
  json::object const kept = value.is_object() ? value.get_object() : json::object{};
  auto const take = [&](std::string_view key, json::value const& fallback) {
    auto const* const found = kept.if_contains(key);
    return found == nullptr ? fallback : *found;
  };
  auto const winner = to_string(rollout.progress.winner);
  out.verdict = {{"winner", winner.empty() ? json::value() : json::value(winner)}, {"decision", take("decision", "hold")}, {"reason", take("reason", "")}, {"gates", take("gates", json::array{})}};
  if (auto reach = take("reach", json::object{}); reach.is_object()) out.reach = std::move(reach.get_object());
  if (auto history = take("history", json::array{}); history.is_array()) out.history = std::move(history.get_array());
  return out;
}

json::object stage_json(Rollout const& rollout, Ladder const& ladder) {
  return {{"index", rollout.stage},
          {"of", rollout.policy.stage_count()},
          {"percent", json_number<json::value>(percent_of(rollout, ladder, rollout.stage))},
          {"state", rollout.baking ? "baking" : "dispatching"},
          {"devices", planned(ladder, rollout.stage)},
          {"deadline", wire::time_or_null(rollout.deadline, true)}};
}

std::string_view stage_word(Rollout const& rollout, int stage) {
  if (rollout.state == State::completed || stage < rollout.stage) return "passed";
  if (stage > rollout.stage) return "to come";
  if (rollout.state != State::running) return to_string(rollout.state);
  return rollout.baking ? "baking" : "dispatching";
}

Result<json::array> strata_json(db::Connection& reader, Rollout const& rollout, Ladder const& ladder) {
  std::map<std::string, Tallies> by_stratum;
  {
    auto rows = reader.prepare(queries::kStrataCounts);
    rows.bind_all(rollout.n);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      by_stratum[rows.text(0)].add(rows.text_view(1), rows.maybe_text(2).value_or(""), rows.int64(3) != 0, rows.int64(4));
    }
  }
  json::array out;
  for (auto const& [stratum, devices] : ladder.sizes) {
    auto const& tallies = by_stratum[stratum];
    out.push_back(json::object{{"stratum", stratum},
                               {"devices", devices},
                               {"quarantined", rollout.progress.quarantined.contains(stratum)},
                               {"dispatched", tallies.told},
                               {"exposed", tallies.exposed},
                               {"healthy", tallies.of(device_state::kHealthy)},
                               {"failed", tallies.of(device_state::kFailed)},
                               {"silent", tallies.of(device_state::kSilent)},
                               {"reverted", tallies.of(device_state::kReverted)}});
  }
  return out;
}

json::array blocked_by(json::object const& reach) {
  auto const* const found = reach.if_contains("blocked_by");
  return found != nullptr && found->is_array() ? found->get_array() : json::array{};
}

/// The first of the devices that failed, whatever followed.
Result<json::array> failures_json(db::Connection& reader, Rollout const& rollout) {
  FLEET_TRY(auto const page, list_rollout_devices(reader, rollout, std::string(device_state::kFailed), 0, 0, kFailuresShown));
  json::array out;
  for (auto const& item : page.items) out.push_back(json::parse(item));  // our own text
  return out;
}

/// How the winner of a test comes to all; empty: there is none.
std::string next_text(Rollout const& rollout) {
  auto const winner = rollout.progress.winner;
  if (winner != Winner::a && winner != Winner::b) return {};
  return fmt::format(" Devices keep what they have; to take the winner to all: fleetctl rollout create --release {}@{} {} --policy standard --start.", rollout.model,
                     winner == Winner::a ? rollout.version : rollout.against->version, rollout.selector.empty() ? "--all" : fmt::format("-l '{}'", rollout.selector));
}

std::string sentence(Rollout const& rollout, Tallies const& tallies, std::string_view reason) {
  auto const where = rollout.stage == 0 ? std::string("not started")
                     : rollout.against  ? fmt::format("a test against {}@{}", rollout.model, rollout.against->version)
                                        : fmt::format("stage {} of {}", rollout.stage, rollout.policy.stage_count());
  auto out = fmt::format("{}@{} is {}, {}: {} were told, {} switched", rollout.model, rollout.version, to_string(rollout.state), where, devices_text(tallies.told), tallies.exposed);
  for (auto const word : {device_state::kHealthy, device_state::kFailed, device_state::kSilent, device_state::kReverted})
    if (auto const devices = tallies.of(word); devices > 0 || word == device_state::kHealthy) out += fmt::format(", {} {}", devices, word);
  if (tallies.recovered > 0) out += fmt::format("; {} of those that failed run it since a later attempt", tallies.recovered);
  if (tallies.controls > 0 && rollout.against) out += fmt::format("; {} were told {}@{}", devices_text(tallies.controls), rollout.model, rollout.against->version);
  else if (tallies.controls > 0) out += fmt::format("; {} proved what they run, as control", devices_text(tallies.controls));
  return (reason.empty() ? out + "." : fmt::format("{}. {}", out, reason)) + (rollout.against ? "." + next_text(rollout) : "");
}

/// The open window, for people: what it waits for is in the reason.
json::value window_json(Rollout const& rollout, Ladder const& ladder) {
  auto const& progress = rollout.progress;
  if (progress.window == 0) return {};
  auto const at = [&](int step) { return ladder.counts.at(static_cast<std::size_t>(std::clamp(step, 0, ladder.last()))); };
  return json::object{{"number", progress.window},
                      {"state", progress.judged ? "judged" : progress.shut ? "shut" : "open"},
                      {"canaries", at(progress.canaries)},
                      {"controls", at(progress.controls) - at(rollout.against ? ladder.stage_size.front() : progress.canaries)}};
}

/// Canaries beside controls, in all windows that were judged. In a test, where much fails in one arm alone by its release's doing, storms count as well.
json::object arms_json(Folded const& folded, bool test) {
  auto const arm = [](std::int64_t judged, stats::Tally failed, stats::Tally silent, std::int64_t left) {
    return json::object{{"judged", judged}, {"failed", failed.bad}, {"silent", silent.bad}, {"left", left}};
  };
  auto const& [failures, silence] = folded.seen;
  return {{"windows", folded.windows},
          {"storms", test ? 0 : folded.storms},
          {"canary", arm(folded.canaries, test ? failures.canary : folded.failed, test ? silence.canary : folded.silent, folded.left)},
          {"control", arm(folded.controls, test ? failures.control : folded.control_failed, test ? silence.control : folded.control_silent, folded.control_left)}};
}

}  // namespace

Result<std::string> rollout_json(db::Connection& reader, Rollout const& rollout) {
  FLEET_TRY(auto const ladder, load_ladder(reader, rollout));
  FLEET_TRY(auto const tallies, count_devices(reader, rollout.n));
  auto kept = read_kept(rollout);
  return json::serialize(json::object{{"id", rollout.id},
                                      {"model", rollout.model},
                                      {"version", rollout.version},
                                      {"against", rollout.against ? json::value(rollout.against->version) : json::value()},
                                      {"selector", rollout.selector},
                                      {"policy", wire::parse_own(rollout.policy_json)},
                                      {"state", to_string(rollout.state)},
                                      {"stage", stage_json(rollout, ladder)},
                                      {"counts", counts_json(tallies, kept.reach, ladder.reach() + ladder.held, ladder.held)},
                                      {"blocked_by", blocked_by(kept.reach)},
                                      {"verdict", std::move(kept.verdict)},
                                      {"attempt", rollout.attempt},
                                      {"restored", rollout.restored == Restored::held},
                                      {"reason", rollout.reason},
                                      {"follows", wire::text_or_null(rollout.follows)},
                                      {"created_by", rollout.created_by},
                                      {"created_at", to_rfc3339(rollout.created_at, true)},
                                      {"started_at", wire::time_or_null(rollout.started_at, true)},
                                      {"ended_at", wire::time_or_null(rollout.ended_at, true)}});
}

Result<std::string> explain_json(db::Connection& reader, Rollout const& rollout) {
  FLEET_TRY(auto const ladder, load_ladder(reader, rollout));
  FLEET_TRY(auto const tallies, count_devices(reader, rollout.n));
  FLEET_TRY(auto by_stratum, strata_json(reader, rollout, ladder));
  FLEET_TRY(auto failures, failures_json(reader, rollout));
  auto kept = read_kept(rollout);
  json::array stages;
  for (int stage = 1; stage <= rollout.policy.stage_count(); ++stage)
    stages.push_back(json::object{{"index", stage},
                                  {"percent", json_number<json::value>(percent_of(rollout, ladder, stage))},
                                  {"devices", planned(ladder, stage)},
                                  {"state", stage_word(rollout, stage)}});
  auto const reason = std::string(kept.verdict["reason"].as_string());
  return json::serialize(json::object{{"rollout", rollout.id},
                                      {"state", to_string(rollout.state)},
                                      {"text", sentence(rollout, tallies, reason)},
                                      {"winner", kept.verdict["winner"]},
                                      {"stages", std::move(stages)},
                                      {"window", window_json(rollout, ladder)},
                                      {"arms", arms_json(rollout.progress.folded, rollout.against.has_value())},
                                      {"gates", std::move(kept.verdict["gates"])},
                                      {"strata", std::move(by_stratum)},
                                      {"failures", std::move(failures)},
                                      {"blocked_by", blocked_by(kept.reach)},
                                      {"history", std::move(kept.history)}});
}

std::string plan_json(PlanRequest const& request, Plan const& plan) {
  json::array stages, conflicts, warnings;
  for (auto const& stage : plan.stages) {
    json::array strata, detects;
    for (auto const& [stratum, devices] : stage.strata) strata.push_back(json::object{{"stratum", stratum}, {"devices", devices}});
    for (auto const& text : stage.detects) detects.push_back(json::string(text));
    stages.push_back(json::object{{"index", stage.index},
                                  {"percent", json_number<json::value>(stage.percent)},
                                  {"devices", stage.devices},
                                  {"cap", stage.cap},
                                  {"window", stage.window},
                                  {"controls", stage.controls},
                                  {"strata", std::move(strata)},
                                  {"detects", std::move(detects)},
                                  {"certifies", stage.certifies.empty() ? json::value{} : json::value(stage.certifies)}});
  }
  for (auto const& conflict : plan.conflicts)
    conflicts.push_back(json::object{{"rollout", conflict.rollout}, {"state", conflict.state}, {"devices", conflict.devices}});
  for (auto const& text : plan.warnings) warnings.push_back(json::string(text));
  return json::serialize(json::object{{"release", request.model + "@" + request.version},
                                      {"selector", request.selector},
                                      {"targeted", plan.targeted},
                                      {"holdback", plan.holdback},
                                      {"policy", wire::parse_own(encode(plan.policy))},
                                      {"stages", std::move(stages)},
                                      {"conflicts", std::move(conflicts)},
                                      {"warnings", std::move(warnings)},
                                      {"ineligible", plan.ineligible}});
}

Result<ListPage> list_rollouts(db::Connection& reader, registry::Limits const& limits, std::string const& model, std::string const& state, std::int64_t before,
                               int limit) {
  std::vector<Rollout> found;
  {
    auto rows = reader.prepare(queries::kListRollouts);
    rows.bind_all(before, model.empty() ? limits.model : model, state, limit + 1);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      FLEET_TRY(auto rollout, read_rollout(rows));
      found.push_back(std::move(rollout));
    }
  }
  ListPage out;
  bool const more = found.size() > static_cast<std::size_t>(limit);
  if (more) found.pop_back();
  for (auto const& rollout : found) {
    FLEET_TRY(auto const reach, registry::Selector::parse(rollout.selector));
    if (!limits.covers_model(rollout.model) || !limits.cover(reach)) continue;
    FLEET_TRY(auto text, rollout_json(reader, rollout));
    out.items.push_back(std::move(text));
  }
  if (more) out.next = std::to_string(found.back().n);
  return out;
}

Result<ListPage> list_rollout_devices(db::Connection& reader, Rollout const& rollout, std::string const& state, int stage, std::int64_t after, int limit) {
  ListPage out;
  std::int64_t last = 0;
  auto rows = reader.prepare(state.empty() ? queries::kListDevices : queries::kListState);
  auto const last_stage = rollout.policy.stage_count();  // where those that are held back count
  rows.bind_all(rollout.n, after, stage, limit + 1, last_stage);
  if (!state.empty()) rows.bind(6, state);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    if (out.items.size() == static_cast<std::size_t>(limit)) {
      out.next = std::to_string(last);
      return out;
    }
    auto const from = rows.maybe_text(3);
    bool const held_back = rows.int64(1) == kHeldBack;
    auto const error = rows.maybe_text(6), outcome = rows.maybe_text(8);
    last = rows.int64(7);
    out.items.push_back(json::serialize(json::object{{"device", rows.text(0)},
                                                     {"stage", held_back ? last_stage : rows.int64(1)},
                                                     {"arm", held_back ? "holdback" : rows.text(9)},
                                                     {"state", rows.text(2)},
                                                     {"outcome", wire::text_or_null(outcome)},
                                                     {"from", wire::text_or_null(from)},
                                                     {"to", installs(parse_arm(rows.text_view(9))) ? json::value(rollout.version_of(parse_arm(rows.text_view(9)))) : json::value{}},
                                                     {"attempt", rows.int64(4)},
                                                     {"since", to_rfc3339(from_unix_ms(rows.int64(5)), true)},
                                                     {"error", error ? wire::parse_own(*error) : json::value{}}}));
  }
}

}  // namespace fleet::rollout
