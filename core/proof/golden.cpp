#include "core/proof/golden.hpp"

#include "core/proof/compare.hpp"
#include "core/proof/process.hpp"
#include "core/proof/scratch.hpp"
#include "core/proof/user.hpp"

#include <fmt/format.h>

namespace fleet::proof {
namespace {

Error failed(std::string code, std::string detail, std::string output) {
  return {Kind::unprocessable, std::move(code), "golden test: " + std::move(detail), std::move(output)};
}

Result<Command> golden_command(Ground const& ground, Candidate const& candidate, wire::Golden const& golden, GoldenFiles const& files) {
  FLEET_TRY(auto command, resolve(ground.fs, golden.command, candidate.slot, ground.exec));
  command.timeout = golden.timeout;
  command.environment = environment_of(candidate);
  command.environment["FLEET_OUTPUT"] = candidate.scratch + "/output";
  command.environment["FLEET_LATENCIES"] = candidate.scratch + "/latencies";
  auto const inputs = files.inputs.empty() && !golden.inputs.empty() ? candidate.slot + "/" + golden.inputs : files.inputs;
  if (!inputs.empty()) command.environment["FLEET_INPUTS"] = inputs;
  return command;
}

/// @errors io; golden_mismatch
Result<std::string> output_of(Ground const& ground, std::string const& path, std::string_view variable, Owner owner) {
  auto written = read_written(ground.fs, path, variable, owner, "golden_mismatch");
  if (written || written.error().kind == Kind::io) return written;
  return failed("golden_mismatch", written.error().detail, {});
}

Result<Measured> judge(Ground const& ground, Candidate const& candidate, wire::Golden const& golden, Outcome const& ran, std::string_view expected, Owner owner) {
  FLEET_TRY(auto const got, output_of(ground, candidate.scratch + "/output", "$FLEET_OUTPUT", owner));
  auto const compared = compare_outputs(expected, got, {golden.tolerance, golden.tolerances});
  if (!compared && compared.error().code == "unknown_column") return failed("golden_failed", compared.error().detail, {});
  FLEET_CHECK(compared);
  auto const latencies = candidate.scratch + "/latencies";
  std::string stated;
  if (ground.fs.info(latencies)) {
    FLEET_TRY(stated, output_of(ground, latencies, "$FLEET_LATENCIES", owner));
  }
  FLEET_TRY(auto const latency, latency_of(stated, ran.took, expected));
  Measured const measured{latency, ran.peak_bytes, ran.took};
  FLEET_CHECK(check_budgets(golden, measured));
  return measured;
}

}  // namespace

std::map<std::string, std::string> environment_of(Candidate const& candidate) {
  std::map<std::string, std::string> out{{"FLEET_MODEL", candidate.model},
                                         {"FLEET_VERSION", candidate.version},
                                         {"FLEET_RELEASE", candidate.digest},
                                         {"FLEET_SLOT", candidate.slot},
                                         {"FLEET_STATSD", candidate.statsd}};
  if (!candidate.variant.empty()) out["FLEET_VARIANT"] = candidate.variant;
  return out;
}

Result<Measured> golden_test(Ground const& ground, Candidate const& candidate, wire::Golden const& golden, GoldenFiles const& files) {
  FLEET_TRY(auto const command, golden_command(ground, candidate, golden, files));
  FLEET_TRY(auto const user, program_user(ground.exec.run_as));
  FLEET_TRY(auto const scratch, Scratch::make(ground.fs, candidate.scratch, user.owner()));
  FLEET_TRY(auto const ran, ground.run(command, ground.waits, ground.stop));
  if (ran.timed_out) return failed("golden_timeout", ran.text, ran.output);
  if (!ran.ok()) return failed("golden_failed", fmt::format("the program {}", ran.text), ran.output);
  auto const expected = ground.fs.read(files.expect.empty() ? candidate.slot + "/" + golden.expect : files.expect, kOutputBytesMax);
  if (!expected && expected.error().kind != Kind::too_large) return expected.error();
  if (!expected) return failed("golden_failed", expected.error().detail, {});
  auto judged = judge(ground, candidate, golden, ran, *expected, user.owner());
  if (judged || judged.error().kind == Kind::io) return judged;
  auto error = judged.error();
  error.hint = ran.output;
  return error;
}

}  // namespace fleet::proof
