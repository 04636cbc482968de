#include "core/proof/shadow.hpp"

#include "core/proof/process.hpp"
#include "core/proof/scratch.hpp"
#include "core/proof/user.hpp"

#include <fmt/format.h>

namespace fleet::proof {
namespace {

Error failed(std::string code, std::string detail, std::string output = {}) {
  return {Kind::unprocessable, std::move(code), "shadow: " + std::move(detail), std::move(output)};
}

bool is_its_own(Error const& error) { return error.kind == Kind::unprocessable; }

std::string percent(double share) { return fmt::format("{:.3g} %", 100 * share); }

/// What one version says. @errors unprocessable: its own
Result<std::string> output_of(Ground const& ground, Candidate const& version, Candidate const& candidate, wire::Shadow const& shadow, std::string const& inputs) {
  FLEET_TRY(auto command, resolve(ground.fs, shadow.command, version.slot, ground.exec));
  command.timeout = shadow.timeout;
  command.environment = environment_of(version);
  command.environment.erase("FLEET_STATSD");  // what it infers now is nothing that the device measured
  command.environment["FLEET_INPUTS"] = inputs;
  command.environment["FLEET_COUNT"] = std::to_string(shadow.n);
  command.environment["FLEET_OUTPUT"] = candidate.scratch + "/output";
  FLEET_TRY(auto const user, program_user(ground.exec.run_as));
  FLEET_TRY(auto const scratch, Scratch::make(ground.fs, candidate.scratch, user.owner()));
  FLEET_TRY(auto const ran, ground.run(command, ground.waits, ground.stop));
  if (ran.timed_out) return failed("shadow_timeout", ran.text, ran.output);
  if (!ran.ok()) return failed("shadow_failed", fmt::format("the program {}", ran.text), ran.output);
  auto written = read_written(ground.fs, candidate.scratch + "/output", "$FLEET_OUTPUT", user.owner(), "shadow_failed");
  if (written || !is_its_own(written.error())) return written;
  return failed("shadow_failed", written.error().detail, ran.output);
}

}  // namespace

Result<Shadowed> shadow_test(Ground const& ground, Candidate const& candidate, Candidate const& running, wire::Manifest const& manifest, std::string const& inputs) {
  auto const& shadow = *manifest.shadow;
  auto const skipped = [](std::string why) { return Shadowed{{}, std::move(why), {}}; };
  if (running.digest.empty()) return skipped("nothing ran before");
  if (inputs.empty()) return skipped("no recorded inputs are named for this model (agent.yaml, inputs)");
  if (!ground.fs.info(inputs)) return skipped(fmt::format("there are no recorded inputs at {}", inputs));
  auto const ran = output_of(ground, running, candidate, shadow, inputs);
  if (!ran && (is_its_own(ran.error()) || ran.error().code == "unknown_program"))
    return skipped(fmt::format("what runs, {}, gives no answer: {}", running.version, ran.error().detail));
  if (!ran) return ran.error();
  FLEET_TRY(auto const came, output_of(ground, candidate, candidate, shadow, inputs));
  Tolerances const tolerances = manifest.golden ? Tolerances{manifest.golden->tolerance, manifest.golden->tolerances} : Tolerances{};
  auto const compared = compare_inferences(*ran, came, tolerances, shadow.n);
  if (!compared) return failed("shadow_failed", compared.error().detail);
  if (compared->inferences == 0) return skipped(fmt::format("neither version made an inference of what is recorded at {}", inputs));
  Shadowed out{*compared, {}, {}};
  if (compared->inferences < shadow.n) out.short_of = fmt::format("{} of {} inferences are recorded", compared->inferences, shadow.n);
  return out;
}

Result<void> check_agreement(wire::Shadow const& shadow, Agreement const& agreement) {
  auto const allowed = shadow.disagree_max * static_cast<double>(shadow.n);
  if (static_cast<double>(agreement.differing) <= allowed) return {};
  return failed("shadow_disagrees", fmt::format("{} of {} inferences differ from what runs ({}), at most {} of {} are allowed", agreement.differing, agreement.inferences,
                                                percent(agreement.share()), percent(shadow.disagree_max), shadow.n),
                agreement.first);
}

}  // namespace fleet::proof
