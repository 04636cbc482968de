#include "tests/unit/core/proof/release_folder.hpp"

#include "cli/trial/trial.hpp"

using namespace fleet;
using namespace fleet::cli;

namespace {

struct Tries {
  proof::ReleaseFolder folder;
  Trial trial;
  Tries() {
    trial.folder = folder.slot();
    trial.manifest.golden = wire::Golden{{"golden"}, Millis{5'000}, "in.csv", "out.csv", 0};
    folder.put("in.csv", "1\n2\n3\n4\n5\n6\n7\n8\n");
    folder.put("out.csv", "1\n2\n3\n4\n5\n6\n7\n8\n");
    folder.script("golden", "cat $FLEET_INPUTS > $FLEET_OUTPUT");
  }
  [[nodiscard]] std::string work() const { return folder.open_folder() + "/work"; }
  Tried go() {
    auto const tried = try_release(folder.ground(), trial, work());
    REQUIRE_MESSAGE(tried.has_value(), tried.error().detail);
    CHECK_FALSE(std::filesystem::exists(work()));
    return *tried;
  }
};

}  // namespace

TEST_CASE("a trial runs the golden test as an agent would, and says what failed") {
  Tries tries;
  auto const passed = tries.go();
  CHECK(passed.passed());
  CHECK(passed.measured.peak_bytes > 0);
  tries.folder.script("golden", "echo 1 > $FLEET_OUTPUT; echo said");
  auto const failed = tries.go();
  CHECK_FALSE(failed.passed());
  CHECK(failed.golden->code == "golden_mismatch");
  CHECK(failed.golden->output == "said\n");
}

TEST_CASE("noise makes a test fail that has no tolerance for it, and pass where it has") {
  Tries tries;
  tries.trial.disturbance.noise = 0.01;
  CHECK(tries.go().golden->code == "golden_mismatch");
  tries.trial.manifest.golden->tolerance = 0.1;
  CHECK(tries.go().passed());
}

TEST_CASE("lost lines are not expected, and a model that needs all of them fails") {
  Tries tries;
  tries.trial.disturbance.loss = 0.4;
  auto const passed = tries.go();
  CHECK(passed.passed());
  CHECK(passed.lost > 0);
  tries.folder.script("golden", "awk '{ sum += $1; print sum }' $FLEET_INPUTS > $FLEET_OUTPUT");
  tries.folder.put("out.csv", "1\n3\n6\n10\n15\n21\n28\n36\n");
  CHECK(tries.go().golden->code == "golden_mismatch");
}

TEST_CASE("with a delay inputs come line by line, the time-out waits for them, and the pauses are no latency") {
  Tries tries;
  tries.trial.delay = Millis{60};
  tries.trial.manifest.golden->timeout = Millis{400};
  tries.trial.manifest.golden->latency_max_ms = 20;
  auto const unsaid = tries.go();
  CHECK(unsaid.passed());
  CHECK_FALSE(unsaid.latency_judged);
  CHECK(unsaid.measured.took >= Millis{400});
  tries.folder.script("golden", "cat $FLEET_INPUTS > $FLEET_OUTPUT; echo 50 > $FLEET_LATENCIES");
  CHECK(tries.go().golden->code == "golden_latency");
  // A program that reads none of them ends the trial all the same.
  tries.folder.script("golden", "cat out.csv > $FLEET_OUTPUT");
  CHECK(tries.go().passed());
}

TEST_CASE("a shadow is tried against the folder of the version before") {
  Tries tries;
  proof::ReleaseFolder before;
  before.script("golden", "cat $FLEET_INPUTS > $FLEET_OUTPUT");
  tries.trial.manifest.shadow = wire::Shadow{{"golden"}, Millis{5'000}, 8, 0.2};
  CHECK_FALSE(tries.go().shadow.has_value());  // nothing to compare with
  tries.trial.against = before.slot();
  tries.trial.recorded = tries.folder.slot() + "/in.csv";
  auto const agrees = tries.go();
  CHECK(agrees.shadow->passed());
  CHECK(agrees.shadowed->agreement.inferences == 8);
  before.script("golden", "sed s/^/1/ $FLEET_INPUTS > $FLEET_OUTPUT");
  CHECK(tries.go().shadow->code == "shadow_disagrees");
  tries.trial.recorded = "/nowhere";
  auto const skipped = tries.go();
  CHECK(skipped.shadow->code == "shadow_skipped");
  CHECK_FALSE(skipped.passed());
}

TEST_CASE("a test without inputs has nothing that could be disturbed") {
  Tries tries;
  tries.trial.manifest.golden->inputs.clear();
  tries.trial.disturbance.noise = 1;
  CHECK(try_release(tries.folder.ground(), tries.trial, tries.work()).error().detail.find("no `inputs`") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(tries.work()));
}
