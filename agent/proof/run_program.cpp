#include "agent/proof/proof.hpp"

#include "core/proof/process.hpp"

#include <fmt/format.h>

namespace fleet::agent {

Result<void> run_program(Bench const& bench, proof::Candidate const& candidate, std::vector<std::string> const& words, std::string const& code,
                         Millis timeout) {
  FLEET_TRY(auto command, proof::resolve(bench.fs, words, candidate.slot, bench.config.exec));
  command.timeout = timeout;
  command.environment = proof::environment_of(candidate);
  FLEET_TRY(auto const ran, bench.run(command, bench.waits, bench.stop));
  if (ran.ok()) return {};
  return Error{Kind::unprocessable, code, fmt::format("{} {}", words.front(), ran.text), ran.output};
}

}  // namespace fleet::agent
