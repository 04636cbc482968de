#pragma once

#include "server/simulation/study.hpp"

#include <string>

/// What the programs of this folder read and how they run many fleets.
namespace fleet::simulation {

/// A policy from a preset's name or a file of JSON or YAML. @errors bad_input with file and line, not_found
[[nodiscard]] Result<rollout::Policy> read_policy(std::string const& text);
/// A scenario from a file of JSON or YAML; "" is one in which all is well. @errors bad_input with file and line, not_found
[[nodiscard]] Result<Scenario> read_scenario(std::string const& file);

/// Of which runs moments are kept.
enum class Moments { first, all };
/// All runs of a study over so many threads; results in the order of runs, whatever the threads. @errors as run_one: the first run's that has one
[[nodiscard]] Result<std::vector<Outcome>> run_all(Study const& study, int jobs, Moments moments = Moments::first);
/// Threads where nobody says how many: one a core.
[[nodiscard]] int default_jobs();

/// An error on standard error, all that it says.
void tell(Error const& error);

}  // namespace fleet::simulation
