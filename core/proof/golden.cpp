#include "core/proof/golden.hpp"

#include "core/base/log.hpp"
#include "core/proof/compare.hpp"
#include "core/proof/process.hpp"
#include "core/proof/user.hpp"

#include <fmt/format.h>

#include <utility>

namespace fleet::proof {
namespace {

constexpr std::uint64_t kOutputMax = 16 * 1024 * 1024;

/// A folder that the program's user alone may write to, gone when the test is over.
class Scratch {
public:
  static Result<Scratch> make(Fs& fs, std::string const& path, Owner owner) {
    FLEET_CHECK(fs.remove_tree(path));
    FLEET_CHECK(fs.make_private_dir(path, owner));
    return Scratch(fs, path);
  }
  Scratch(Scratch&& other) noexcept : fs_(other.fs_), path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (path_.empty()) return;
    if (auto const removed = fs_.remove_tree(path_); !removed) log::warn("scratch.left", {{"path", path_}, {"error", removed.error().detail}});
  }

private:
  Scratch(Fs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Fs& fs_;
  std::string path_;
};

Error failed(std::string code, std::string detail, std::string output) {
  return {Kind::unprocessable, std::move(code), "golden test: " + std::move(detail), std::move(output)};
}

Result<Command> golden_command(Ground const& ground, Candidate const& candidate, wire::Golden const& golden) {
  FLEET_TRY(auto command, resolve(golden.command, candidate.slot, ground.exec));
  command.timeout = golden.timeout;
  command.environment = environment_of(candidate);
  command.environment["FLEET_OUTPUT"] = candidate.scratch + "/output";
  if (!golden.inputs.empty()) command.environment["FLEET_INPUTS"] = candidate.slot + "/" + golden.inputs;
  return command;
}

}  // namespace

std::map<std::string, std::string> environment_of(Candidate const& candidate) {
  return {{"FLEET_MODEL", candidate.model},
          {"FLEET_VERSION", candidate.version},
          {"FLEET_RELEASE", candidate.digest},
          {"FLEET_SLOT", candidate.slot},
          {"FLEET_STATSD", candidate.statsd}};
}

Result<void> golden_test(Ground const& ground, Candidate const& candidate, wire::Golden const& golden) {
  FLEET_TRY(auto const command, golden_command(ground, candidate, golden));
  FLEET_TRY(auto const user, program_user(ground.exec.run_as));
  FLEET_TRY(auto const scratch, Scratch::make(ground.fs, candidate.scratch, user.owner()));
  FLEET_TRY(auto const ran, run(command, ground.waits, ground.stop));
  if (ran.timed_out) return failed("golden_timeout", ran.text, ran.output);
  if (!ran.ok()) return failed("golden_failed", fmt::format("the program {}", ran.text), ran.output);
  auto const expected = ground.fs.read(candidate.slot + "/" + golden.expect, kOutputMax);
  if (!expected && expected.error().kind != Kind::too_large) return expected.error();
  if (!expected) return failed("golden_failed", expected.error().detail, {});
  // What was opened is the program's own, or it is neither read nor quoted: a link to a file that only root reads must not end up at the server.
  auto const got = ground.fs.read_own(candidate.scratch + "/output", kOutputMax, user.owner());
  if (!got && got.error().kind == Kind::io) return got.error();
  if (!got)
    return failed("golden_mismatch", got.error().kind == Kind::not_found ? "the program wrote no $FLEET_OUTPUT" : "$FLEET_OUTPUT: " + got.error().detail,
                  ran.output);
  auto compared = compare_outputs(*expected, *got, golden.tolerance);
  if (compared) return {};
  auto error = compared.error();
  error.hint = ran.output;
  return error;
}

}  // namespace fleet::proof
