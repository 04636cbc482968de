#include "server/simulation/study.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>

namespace fleet::simulation {
namespace json = boost::json;
namespace {

using rollout::State;

double hours_of(Millis time) { return static_cast<double>(time.count()) / 3.6e6; }

json::object run_json(Outcome const& outcome, std::uint64_t seed) {
  return {{"seed", seed},
          {"outcome", ending(outcome)},
          {"winner", outcome.winner.empty() ? json::value() : json::value(outcome.winner)},
          {"reason", outcome.reason},
          {"gate", outcome.gate.empty() ? json::value() : json::value(outcome.gate)},
          {"exposed", outcome.exposed},
          {"harmed", outcome.harmed},
          {"canaries", outcome.canaries},
          {"hours", hours_of(outcome.took)},
          {"stage", outcome.stage},
          {"left_behind", outcome.left_behind}};
}

json::array moments_json(Outcome const& outcome) {
  json::array out;
  for (auto const& moment : outcome.moments) {
    json::object evidence;
    for (auto const& [gate, weight] : moment.evidence) evidence[gate] = weight;
    out.push_back(json::object{{"hours", hours_of(moment.after)},
                               {"state", to_string(moment.state)},
                               {"stage", moment.stage},
                               {"window", moment.window},
                               {"told", moment.told},
                               {"exposed", moment.exposed},
                               {"healthy", moment.healthy},
                               {"failed", moment.failed},
                               {"silent", moment.silent},
                               {"canaries", moment.canaries},
                               {"controls", moment.controls},
                               {"controls_bad", moment.controls_bad},
                               {"evidence", std::move(evidence)},
                               {"reason", moment.reason}});
  }
  return out;
}

/// Median, ninth decile and the largest, by the nearest rank; nothing of none.
json::value spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  auto const at = [&](double share) { return values[static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1]; };
  return json::object{{"median", at(.5)}, {"p90", at(.9)}, {"max", values.back()}};
}

template <class Get>
json::value spread_of(std::vector<Outcome> const& outcomes, Get const& get, std::string_view only = {}) {
  std::vector<double> values;
  for (auto const& outcome : outcomes)
    if (only.empty() || ending(outcome) == only) values.push_back(static_cast<double>(get(outcome)));
  return spread(std::move(values));
}

json::object sum_up(std::vector<Outcome> const& outcomes, bool harmful) {
  auto const count = [&](std::string_view word) {
    return std::count_if(outcomes.begin(), outcomes.end(), [&](Outcome const& outcome) { return ending(outcome) == word; });
  };
  auto const completed = count("completed"), back = count("rolled_back");
  std::int64_t left_behind = 0;
  for (auto const& outcome : outcomes) left_behind += outcome.left_behind;
  json::value winners;
  for (auto const& outcome : outcomes)
    if (!outcome.winner.empty()) {
      if (!winners.is_object()) winners = json::object{{"A", 0}, {"B", 0}, {"none", 0}};
      auto& count_of = winners.get_object()[outcome.winner];
      count_of = count_of.to_number<std::int64_t>() + 1;
    }
  auto const canaries = [](Outcome const& outcome) { return outcome.canaries; };
  return {{"runs", outcomes.size()},
          {"completed", completed},
          {"rolled_back", back},
          {"paused", count("paused")},
          {"undecided", count("undecided")},
          {"false_rollbacks", harmful ? 0 : back},
          {"missed_harm", harmful ? completed : 0},
          {"winners", std::move(winners)},
          {"left_behind", left_behind},
          {"exposed", spread_of(outcomes, [](Outcome const& outcome) { return outcome.exposed; })},
          {"harmed", spread_of(outcomes, [](Outcome const& outcome) { return outcome.harmed; })},
          {"canaries", spread_of(outcomes, canaries)},
          {"canaries_to_rollback", spread_of(outcomes, canaries, "rolled_back")},
          {"hours", spread_of(outcomes, [](Outcome const& outcome) { return hours_of(outcome.took); })}};
}

/// What was learned, and what the runs took after the request's own words stood over it.
json::object history_json(Study const& study) {
  auto const texts = [](std::vector<std::string> const& from) { return json::array(from.begin(), from.end()); };
  auto const& scenario = study.scenario;
  return {{"from", texts(study.learned->from)},
          {"unknown", texts(study.learned->unknown)},
          {"scenario", json::object{{"base", scenario.base},
                                    {"offline", scenario.offline},
                                    {"offline_hours", scenario.offline_hours},
                                    {"day_night", scenario.day_night},
                                    {"poll", fleet::to_string(scenario.poll)}}}};
}

}  // namespace

std::string_view ending(Outcome const& outcome) {
  switch (outcome.state) {
    case State::completed: return "completed";
    case State::rolling_back:
    case State::rolled_back: return "rolled_back";
    case State::paused: return "paused";
    default: return "undecided";
  }
}

Result<Outcome> run_one(Study const& study, int run) {
  auto const seed = study.seed + static_cast<std::uint64_t>(run);
  auto outcome = VirtualFleet(study.scenario, study.policy, study.devices, seed).run(study.effort_max);
  if (!outcome) {
    auto error = outcome.error();
    error.detail = fmt::format("seed {}: {}", seed, error.detail);
    return error;
  }
  return outcome;
}

std::string to_json(Study const& study, std::vector<Outcome> const& outcomes) {
  json::array runs;
  for (std::size_t i = 0; i < outcomes.size(); ++i) runs.push_back(run_json(outcomes[i], study.seed + i));
  bool const harmful = study.scenario.harmful();
  json::object out{{"devices", study.devices},
                   {"seed", study.seed},
                   {"harmful", harmful},
                   {"first", moments_json(outcomes.front())},
                   {"runs", std::move(runs)},
                   {"summary", sum_up(outcomes, harmful)}};
  if (study.learned) out["history"] = history_json(study);
  return json::serialize(out);
}

Result<std::string> study_json(Study const& study) {
  std::vector<Outcome> outcomes;
  auto left = study;
  for (int i = 0; i < study.runs; ++i) {
    FLEET_TRY(auto outcome, run_one(left, i));
    left.effort_max -= outcome.effort;
    if (i > 0) outcome.moments.clear();
    outcomes.push_back(std::move(outcome));
  }
  return to_json(study, outcomes);
}

}  // namespace fleet::simulation
