#include "tests/unit/core/proof/release_folder.hpp"

#include "core/proof/shadow.hpp"

using namespace fleet;
using namespace fleet::proof;

namespace {

/// What runs, beside what is to run: each with a program of its own.
struct Both {
  ReleaseFolder came, ran;
  wire::Manifest manifest;
  Both() {
    manifest.shadow = wire::Shadow{{"shadow"}, Millis{10'000}, 4, 0.5};
    came.put("recorded", "1\n2\n3\n4\n5\n");
  }
  /// @returns the code of what went wrong, of the run or of the agreement; empty: nothing
  std::string test(std::string inputs) {
    auto const tested = shadow_test(came.ground(), came.candidate(), running(), manifest, inputs);
    if (!tested) return tested.error().code + ": " + tested.error().detail;
    shadowed = *tested;
    if (!tested->skipped.empty()) return {};
    auto const agreed = check_agreement(*manifest.shadow, tested->agreement);
    return agreed ? std::string() : agreed.error().code + ": " + agreed.error().detail + " | " + agreed.error().hint;
  }
  std::string test() { return test(came.slot() + "/recorded"); }
  [[nodiscard]] Candidate running() const { return {"reader", "1.0", std::string(64, 'b'), ran.slot(), {}, {}}; }
  Shadowed shadowed;
};

}  // namespace

TEST_CASE("inferences are lines, and agree when all their cells do") {
  struct Case {
    std::string_view ran, came;
    Tolerances tolerances;
    std::int64_t n, inferences, differing;
    std::string_view first;
  };
  for (auto const& [ran, came, tolerances, n, inferences, differing, first] : std::to_array<Case>({
           {"1\n2\n3\n", "1\n2\n3\n", {}, 10, 3, 0, ""},
           {"1\n2\n3\n", "1\n\n2\r\n3", {}, 10, 3, 0, ""},
           {"1\n2\n3\n", "1\n5\n7\n", {}, 10, 3, 2, "inference 2: cell 1: 2 ran, 5 came (tolerance 0)"},
           {"1\n2\n3\n", "1\n5\n7\n", {}, 2, 2, 1, "inference 2"},
           {"1\n2\n", "1\n2\n3\n", {}, 10, 3, 1, "inference 3: only the release to come made it"},
           {"1\n2\n3\n", "1\n", {}, 10, 3, 2, "inference 2: only what runs made it"},
           {"1,a\n2,b\n", "1,a\n2\n", {}, 10, 2, 1, "inference 2: the release to come ends before cell 2"},
           {"id,score\n1,0.5\n", "id,score\n1,0.51\n", {0, {{"score", 0.1}}}, 10, 1, 0, ""},
           {"id,score\n1,0.5\n", "nr,score\n1,0.9\n", {0, {{"score", 0.1}}}, 10, 1, 1, "inference 1: cell 2: 0.5 ran, 0.9 came (tolerance 0.1)"},
           {"1,0.5\n", "1,0.51\n", {0, {{"2", 0.1}}}, 10, 1, 0, ""},
           {"", "", {}, 10, 0, 0, ""},
       })) {
    CAPTURE(ran);
    CAPTURE(came);
    auto const compared = compare_inferences(ran, came, tolerances, n);
    REQUIRE(compared.has_value());
    CHECK(compared->inferences == inferences);
    CHECK(compared->differing == differing);
    CHECK(compared->first.find(first) == 0);
    CHECK(compared->first.empty() == (differing == 0));
  }
  CHECK(compare_inferences("a\n", "b\n", {0, {{"score", 0.1}}}, 10).error().code == "unknown_column");
}

TEST_CASE("both versions are run by their own programs on what was recorded, and compared") {
  Both both;
  both.ran.script("shadow", "[ $FLEET_VERSION = 1.0 ] && [ -z \"$FLEET_STATSD\" ] && head -n $FLEET_COUNT $FLEET_INPUTS > $FLEET_OUTPUT");
  both.came.script("shadow", "[ $FLEET_VERSION = 2.0 ] && [ $FLEET_SLOT = $PWD ] && sed 's/^2$/20/' $FLEET_INPUTS | head -n $FLEET_COUNT > $FLEET_OUTPUT");
  CHECK(both.test() == "");
  CHECK(both.shadowed.agreement.inferences == 4);
  CHECK(both.shadowed.agreement.share() == doctest::Approx(0.25));
  CHECK(both.shadowed.short_of.empty());
  CHECK_FALSE(std::filesystem::exists(both.came.scratch()));
  both.manifest.shadow->disagree_max = 0.2;
  CHECK(both.test() ==
        "shadow_disagrees: shadow: 1 of 4 inferences differ from what runs (25 %), at most 20 % of 4 are allowed | inference 2: cell 1: 2 ran, 20 came (tolerance 0)");
}

TEST_CASE("few recorded inferences cannot hide that too many differ, and few that agree are told") {
  Both both;
  both.manifest.shadow->n = 100;
  both.manifest.shadow->disagree_max = 0.02;
  both.ran.script("shadow", "cat $FLEET_INPUTS > $FLEET_OUTPUT");
  both.came.script("shadow", "sed 's/^2$/20/' $FLEET_INPUTS > $FLEET_OUTPUT");
  CHECK(both.test() == "");  // 1 of 5; with 95 more that agree it would be 1 %
  CHECK(both.shadowed.short_of == "5 of 100 inferences are recorded");
  both.came.script("shadow", "sed 's/^/1/' $FLEET_INPUTS > $FLEET_OUTPUT");
  CHECK(both.test().find("shadow_disagrees: shadow: 5 of 5") == 0);
}

TEST_CASE("numbers of a shadow are compared by the golden test's tolerances") {
  Both both;
  both.manifest.shadow->disagree_max = 0;
  both.ran.script("shadow", "echo 0.5 > $FLEET_OUTPUT");
  both.came.script("shadow", "echo 0.52 > $FLEET_OUTPUT");
  CHECK(both.test().find("shadow_disagrees") == 0);
  both.manifest.golden = wire::Golden{{"golden"}, Millis{1'000}, {}, "out.csv", 0.05};
  CHECK(both.test() == "");
  both.manifest.golden->tolerances = {{"score", 0.05}};
  CHECK(both.test().find("shadow_failed: shadow: there is no column 'score'") == 0);
}

TEST_CASE("what cannot be compared is skipped and says why; what the release itself does wrong is its own") {
  struct Case {
    std::string ran, came, result, skipped;
  };
  std::string const fine = "cat $FLEET_INPUTS > $FLEET_OUTPUT";
  for (auto const& [ran, came, result, skipped] : std::to_array<Case>({
           {"exit 3", fine, "", "what runs, 1.0, gives no answer: shadow: the program ended with 3"},
           {"true", fine, "", "what runs, 1.0, gives no answer: shadow: the program wrote no $FLEET_OUTPUT"},
           {"", fine, "", "what runs, 1.0, gives no answer: 'shadow' is neither a file of the release"},
           {fine, "exit 3", "shadow_failed: shadow: the program ended with 3", ""},
           {fine, "true", "shadow_failed: shadow: the program wrote no $FLEET_OUTPUT", ""},
           {fine, "ln -s /etc/shadow $FLEET_OUTPUT", "shadow_failed", ""},
           {fine, "sleep 100", "shadow_timeout: shadow: still running after 1s", ""},
           {": > $FLEET_OUTPUT", ": > $FLEET_OUTPUT", "", "neither version made an inference"},
       })) {
    CAPTURE(ran);
    CAPTURE(came);
    Both both;
    both.manifest.shadow->timeout = Millis{1'000};
    if (!ran.empty()) both.ran.script("shadow", ran);
    both.came.script("shadow", came);
    CHECK(both.test().find(result) == 0);
    if (result.empty()) CHECK(both.shadowed.skipped.find(skipped) == 0);
  }
  Both both;
  CHECK(both.test("") == "");
  CHECK(both.shadowed.skipped.find("no recorded inputs are named") == 0);
  CHECK(both.test("/nowhere/recorded") == "");
  CHECK(both.shadowed.skipped == "there are no recorded inputs at /nowhere/recorded");
  auto const first = shadow_test(both.came.ground(), both.came.candidate(), {"reader", "", "", "", "", ""}, both.manifest, both.came.slot() + "/recorded");
  CHECK(first->skipped == "nothing ran before");
}
