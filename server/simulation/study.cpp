#include "server/simulation/study.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::simulation {
namespace json = boost::json;
namespace {

using rollout::State;

double hours_of(Millis time) { return static_cast<double>(time.count()) / 3.6e6; }

bool is_taken_back(Outcome const& outcome) { return outcome.state == State::rolled_back || outcome.state == State::rolling_back; }

json::object outcome_json(Outcome const& outcome, std::uint64_t seed) {
  return {{"seed", seed},
          {"state", to_string(outcome.state)},
          {"stage", outcome.stage},
          {"exposed", outcome.exposed},
          {"harmed", outcome.harmed},
          {"hours", hours_of(outcome.took)},
          {"reason", outcome.reason}};
}

json::array moments_json(Outcome const& outcome) {
  json::array out;
  for (auto const& moment : outcome.moments)
    out.push_back(json::object{{"after", fleet::to_string(std::chrono::floor<seconds>(moment.after))},
                               {"state", to_string(moment.state)},
                               {"stage", moment.stage},
                               {"told", moment.told},
                               {"exposed", moment.exposed},
                               {"healthy", moment.healthy},
                               {"failed", moment.failed},
                               {"silent", moment.silent},
                               {"reason", moment.reason}});
  return out;
}

json::object sum_up(std::vector<Outcome> const& outcomes, bool harmful) {
  std::int64_t completed = 0, taken_back = 0, paused = 0, false_rollbacks = 0, missed_harm = 0, harmed = 0, harmed_max = 0;
  std::vector<double> hours;
  for (auto const& outcome : outcomes) {
    completed += outcome.state == State::completed;
    taken_back += is_taken_back(outcome);
    paused += outcome.state == State::paused;
    false_rollbacks += !harmful && (is_taken_back(outcome) || outcome.by_harm);
    missed_harm += harmful && outcome.state == State::completed;
    harmed += outcome.harmed;
    harmed_max = std::max(harmed_max, outcome.harmed);
    hours.push_back(hours_of(outcome.took));
  }
  std::sort(hours.begin(), hours.end());
  auto const runs = static_cast<std::int64_t>(outcomes.size());
  return {{"completed", completed},
          {"taken_back", taken_back},
          {"paused", paused},
          {"undecided", runs - completed - taken_back - paused},
          {"false_rollbacks", false_rollbacks},
          {"missed_harm", missed_harm},
          {"devices_harmed", {{"mean", static_cast<double>(harmed) / static_cast<double>(runs)}, {"max", harmed_max}}},
          {"hours_to_verdict", {{"median", hours[hours.size() / 2]}, {"max", hours.back()}}}};
}

}  // namespace

Allowance allowance(rollout::Policy const& policy, BadKind kind) {
  if (kind == BadKind::silent) return policy.silent ? Allowance{policy.silent->devices_max, "silent"} : Allowance{};
  Allowance out;
  for (auto const& gate : policy.absolute) {
    bool const sees = (gate.metric == rollout::kInstallFailure) == (kind == BadKind::fails);
    if (sees && (out.gate.empty() || gate.devices_max < out.share)) out = {gate.devices_max, gate.metric};
  }
  return out;
}

Result<std::string> study_json(Study const& study) {
  std::vector<Outcome> outcomes;
  json::array runs;
  for (int i = 0; i < study.runs; ++i) {
    auto const seed = study.seed + static_cast<std::uint64_t>(i);
    auto outcome = VirtualFleet(study.scenario, study.policy, study.devices, seed).run();
    if (!outcome) return Error{Kind::internal, outcome.error().code, fmt::format("seed {}: {}", seed, outcome.error().detail)};
    runs.push_back(outcome_json(*outcome, seed));
    outcomes.push_back(std::move(*outcome));
  }
  auto const allowed = allowance(study.policy, study.scenario.kind);
  bool const harmful = study.scenario.bad > allowed.share;
  return json::serialize(json::object{{"seed", study.seed},
                                      {"devices", study.devices},
                                      {"runs", study.runs},
                                      {"harmful", harmful},
                                      {"gate", allowed.gate.empty() ? json::value{} : json::value(allowed.gate)},
                                      {"allowed", allowed.share},
                                      {"first", moments_json(outcomes.front())},
                                      {"outcomes", std::move(runs)},
                                      {"summary", sum_up(outcomes, harmful)}});
}

}  // namespace fleet::simulation
