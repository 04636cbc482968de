#pragma once

#include "tests/crash/programs.hpp"
#include "tests/crash/world.hpp"

#include <functional>
#include <string>
#include <vector>

/// What lives are made of.
namespace fleet::crash {

inline std::string const kConfig = "poll: {interval: 15m}\nexec: {run_as: nobody}\n";

/// A golden test, an activation, a health check, a probation of three seconds.
[[nodiscard]] wire::Manifest manifest();
/// What is wrong with a release.
struct Flaw {
  std::string answer = "1 2 3", activate = kPasses, health = kPasses;
};
/// Weights of more than a sector and no multiple of one, a file that all versions share, one in a folder, a link, an empty folder.
[[nodiscard]] Contents contents(std::string const& model, std::string const& name, Flaw const& flaw = {});
[[nodiscard]] Published version(std::string const& model, std::string const& name, std::int64_t counter, Flaw const& flaw = {});
/// What every server here has: of `reader` 1, 2 and 6, which are sound, 3, 4 and 5, which fail in their golden test, activation, probation; `counter` 1, and 2, which fails.
void releases(World& world);

[[nodiscard]] std::function<bool(World const&)> is_told(std::string model, std::string state, std::string rollout);
[[nodiscard]] Step enrols();
/// Of the model reader.
[[nodiscard]] Step directs(std::string release, std::string rollout, std::string until, wire::Action action = wire::Action::install);

/// Lives of what comes otherwise than as files over the network (lives_delivery.cpp), behind these.
[[nodiscard]] std::vector<Life> with_lives_of_delivery(std::vector<Life> before);
/// Lives of the agent's own program (lives_own.cpp), behind these.
[[nodiscard]] std::vector<Life> with_lives_of_own_program(std::vector<Life> before);

}  // namespace fleet::crash
