#pragma once

#include "server/simulation/history.hpp"
#include "server/simulation/virtual_fleet.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Many runs of one policy over one kind of fleet and release, and what came of them.
namespace fleet::simulation {

inline constexpr int kDevicesMax = 100'000, kRunsMax = 1'000;
/// Devices times runs that one request may ask for, and the effort (Outcome::effort) that it may take: a few seconds of one core.
inline constexpr std::int64_t kWorkMax = 200'000, kEffortMax = 5'000'000;

struct Study {
  rollout::Policy policy;
  Scenario scenario;
  int devices = 1'000;
  int runs = 20;
  std::uint64_t seed = 1;  ///< of the first run; each further one takes the next
  std::int64_t effort_max = INT64_MAX;  ///< of all runs together
  std::optional<Learned> learned = {};  ///< where the scenario comes from a fleet's past
};

/// How a run ended, in one word: `completed`, `rolled_back` (the verdict, whether everybody has returned or not), `paused`, or `undecided` after 60 days.
[[nodiscard]] std::string_view ending(Outcome const& outcome);

/// One run of it. @param run  from 0  @errors unprocessable: more effort than it may take; internal: a fault of the rules, with the seed that shows it
[[nodiscard]] Result<Outcome> run_one(Study const& study, int run);

/// `{"devices","seed","harmful","first":[...],"runs":[{"seed","outcome","reason","gate","exposed","harmed","canaries","hours","stage","left_behind"}],
/// "summary":{...}}`: the object `simulation` of the API. `first` are the moments of the first run. `history` tells what was learned of a fleet, where it was.
/// @param outcomes  in the order of the runs, at least one
[[nodiscard]] std::string to_json(Study const& study, std::vector<Outcome> const& outcomes);

/// Runs the study, one run after another. @errors as run_one
[[nodiscard]] Result<std::string> study_json(Study const& study);

}  // namespace fleet::simulation
