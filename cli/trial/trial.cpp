#include "cli/trial/trial.hpp"

#include "cli/trial/slow_pipe.hpp"
#include "core/proof/compare.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::cli {
namespace {

Tried::Step step_of(Error const& error) { return {error.code, error.detail, error.hint}; }

/// The golden files as they are given to the test, where they are not those of the folder.
struct Given {
  proof::GoldenFiles files;
  std::unique_ptr<SlowPipe> pipe;
};

bool is_disturbed(Trial const& trial) { return trial.disturbance.noise > 0 || trial.disturbance.loss > 0 || trial.delay > Millis{0}; }

/// @param beside  a folder that every program may read
Result<Given> given_files(Fs& fs, Trial const& trial, std::string const& beside, Tried& tried) {
  Given out;
  if (!is_disturbed(trial)) return out;
  auto const& golden = *trial.manifest.golden;
  if (golden.inputs.empty())
    return Error{Kind::bad_input, "bad_argument", "the golden test has no `inputs` that noise, loss and delay could be given to", "try it without --noise, --loss and --delay"};
  FLEET_TRY(auto const inputs, fs.read(trial.folder + "/" + golden.inputs, proof::kOutputBytesMax));
  FLEET_TRY(auto const expected, fs.read(trial.folder + "/" + golden.expect, proof::kOutputBytesMax));
  SeededRandom random(trial.seed);
  FLEET_TRY(auto const disturbed, disturb(inputs, expected, trial.disturbance, random));
  tried.lines = disturbed.lines;
  tried.lost = disturbed.lost;
  out.files = {beside + "/inputs", beside + "/expect"};
  FLEET_CHECK(fs.replace(out.files.expect, disturbed.expected));
  if (trial.delay <= Millis{0}) {
    FLEET_CHECK(fs.replace(out.files.inputs, disturbed.inputs));
    return out;
  }
  FLEET_TRY(out.pipe, SlowPipe::make(out.files.inputs, disturbed.inputs, trial.delay));
  return out;
}

Result<void> try_golden(proof::Ground const& ground, Trial const& trial, proof::Candidate const& candidate, std::string const& beside, Tried& tried) {
  if (!trial.manifest.golden) return {};
  FLEET_TRY(auto const given, given_files(ground.fs, trial, beside, tried));
  auto golden = *trial.manifest.golden;
  auto const lines = static_cast<std::int64_t>(tried.lines - tried.lost + 1);
  golden.timeout += trial.delay * lines;
  double const latency_max = golden.latency_max_ms;
  if (trial.delay > Millis{0}) golden.latency_max_ms = 0;  // the pauses are ours: only the program's own word is judged, below
  auto tested = proof::golden_test(ground, candidate, golden, given.files);
  if (tested && trial.delay > Millis{0}) {
    golden.latency_max_ms = latency_max;
    tried.latency_judged = tested->latency.stated;
    if (tested->latency.stated)
      if (auto const judged = proof::check_budgets(golden, *tested); !judged) tested = judged.error();
  }
  if (!tested && tested.error().kind != Kind::unprocessable) return tested.error();
  tried.golden = tested ? Tried::Step{} : step_of(tested.error());
  if (tested) tried.measured = *tested;
  return {};
}

Result<void> try_shadow(proof::Ground const& ground, Trial const& trial, proof::Candidate const& candidate, Tried& tried) {
  if (!trial.manifest.shadow || trial.against.empty()) return {};
  auto running = candidate;
  running.slot = trial.against;
  running.version = "before";
  running.digest = "before";
  auto const shadowed = proof::shadow_test(ground, candidate, running, trial.manifest, trial.recorded);
  if (!shadowed && shadowed.error().kind != Kind::unprocessable) return shadowed.error();
  if (!shadowed) {
    tried.shadow = step_of(shadowed.error());
    return {};
  }
  tried.shadowed = *shadowed;
  // Who names a version to compare with wants it compared.
  if (!shadowed->skipped.empty()) {
    tried.shadow = Tried::Step{"shadow_skipped", shadowed->skipped, {}};
    return {};
  }
  auto const agreed = proof::check_agreement(*trial.manifest.shadow, shadowed->agreement);
  tried.shadow = agreed ? Tried::Step{} : step_of(agreed.error());
  return {};
}

}  // namespace

Result<Tried> try_release(proof::Ground const& ground, Trial const& trial, std::string const& work) {
  FLEET_CHECK(ground.fs.make_dirs(work));
  auto const tried = [&]() -> Result<Tried> {
    proof::Candidate const candidate{"trial", "trial", "trial", trial.folder, work + "/scratch", {}};
    FLEET_CHECK(ground.fs.make_dirs(work + "/given"));
    Tried out;
    FLEET_CHECK(try_golden(ground, trial, candidate, work + "/given", out));
    FLEET_CHECK(try_shadow(ground, trial, candidate, out));
    return out;
  }();
  FLEET_CHECK(ground.fs.remove_tree(work));
  return tried;
}

}  // namespace fleet::cli
