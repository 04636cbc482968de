#include "tests/unit/core/proof/release_folder.hpp"

#include "core/proof/compare.hpp"

using namespace fleet;
using namespace fleet::proof;

TEST_CASE("outputs are compared cell by cell, numbers within the tolerance, and the first difference is named") {
  struct Case {
    std::string_view expected, got;
    double tolerance;
    std::string_view difference;
  };
  for (auto const& [expected, got, tolerance, difference] : std::to_array<Case>({
           {"", "", 0, ""},
           {"1,2\n3,4\n", "1,2\n3,4\n", 0, ""},
           {"1,2\n3,4\n", "1 2\r\n3\t4", 0, ""},
           {"0.5", "0.50001", 1e-4, ""},
           {"0.5", "0.5002", 1e-4, "line 1, cell 1"},
           {"1e3", "1000", 0, ""},
           {"-0", "0", 0, ""},
           {"cat,0.9", "cat,0.9", 0, ""},
           {"cat,0.9", "dog,0.9", 1, "line 1, cell 1"},
           {"1,2\n3,4", "1,2\n3,5", 0.5, "line 2, cell 2"},
           {"1,2", "1", 0, "the output ends"},
           {"1", "1,2", 0, "the output has more"},
           {"1", "nan", 1e9, "line 1"},
           {"1", "inf", 1e9, "line 1"},
           {"inf", "inf", 0, ""},
           {"1", "", 0, "the output ends"},
       })) {
    CAPTURE(expected);
    CAPTURE(got);
    auto const compared = compare_outputs(expected, got, tolerance);
    CHECK(compared.has_value() == difference.empty());
    if (compared) continue;
    CHECK(compared.error().code == "golden_mismatch");
    CHECK(compared.error().detail.find(difference) != std::string::npos);
  }
}

TEST_CASE("the golden test runs the release's own program on its inputs and judges what it wrote") {
  struct Case {
    std::string body, code, words;
  };
  for (
      auto const& [body, code, words] : std::to_array<Case>({
          {"cat $FLEET_INPUTS > $FLEET_OUTPUT", "", ""},
          {"printf '1.00001,2\\n' > $FLEET_OUTPUT", "", ""},
          {"printf '1,3\\n' > $FLEET_OUTPUT; echo about to differ", "golden_mismatch", "cell 2"},
          {"true", "golden_mismatch", "wrote no"},
          {"ln -s $FLEET_INPUTS $FLEET_OUTPUT", "golden_mismatch", "is a link"},
          {"ln -s /etc/shadow $FLEET_OUTPUT", "golden_mismatch", "is a link"},
          {"mkdir $FLEET_OUTPUT", "golden_mismatch", "no regular file"},
          {"mkfifo $FLEET_OUTPUT", "golden_mismatch", "no regular file"},
          {"echo broken; exit 4", "golden_failed", "ended with 4"},
          {"kill -6 $$", "golden_failed", "signal 6"},
          {"sleep 100", "golden_timeout", "still running"},
          {R"sh([ "$FLEET_MODEL $FLEET_RELEASE" = "reader $(printf 'a%.0s' $(seq 64))" ] && [ "$FLEET_SLOT" = "$PWD" ] && cat $FLEET_INPUTS > $FLEET_OUTPUT)sh",
           "", ""},
      })) {
    CAPTURE(body);
    ReleaseFolder folder;
    folder.put("in.csv", "1,2\n");
    folder.put("out.csv", "1,2\n");
    folder.script("golden", body);
    wire::Golden const golden{{"golden"}, Millis{2'000}, "in.csv", "out.csv", 1e-4};
    auto const tested = golden_test(folder.ground(), folder.candidate(), golden);
    CHECK((tested ? std::string() : tested.error().code) == code);
    if (!tested) CHECK(tested.error().detail.find(words) != std::string::npos);
    if (words == "cell 2") CHECK(tested.error().hint == "about to differ\n");
  }
}

TEST_CASE("what this device lacks is no evidence against the release, and a stop is no failure") {
  ReleaseFolder folder;
  folder.put("out.csv", "1");
  wire::Golden golden{{"none"}, Millis{1'000}, {}, "out.csv", 0};
  auto const lacks = golden_test(folder.ground(), folder.candidate(), golden);
  CHECK(lacks.error().code == "unknown_program");
  CHECK(lacks.error().kind != Kind::unprocessable);
  folder.script("slow", "sleep 100");
  golden.command = {"slow"};
  folder.stop = true;
  CHECK(golden_test(folder.ground(), folder.candidate(), golden).error().code == "interrupted");
  folder.stop = false;
  folder.exec.run_as = "no-such-user";
  auto const no_user = golden_test(folder.ground(), folder.candidate(), golden);
  CHECK(no_user.error().code == "unknown_user");
  CHECK(no_user.error().kind != Kind::unprocessable);
}

TEST_CASE("the scratch folder is the test's alone, and gone after it with all that was put there") {
  ReleaseFolder folder;
  folder.put("out.csv", "700 1");
  folder.script("golden",
                "d=${FLEET_OUTPUT%/*}; echo $(stat -c %a $d) $(( $(id -u) == $(stat -c %u $d) )) > $FLEET_OUTPUT; mkdir -p $d/a/b; chmod 0 $d/a/b $d/a");
  wire::Golden const golden{{"golden"}, Millis{10'000}, {}, "out.csv", 0};
  // What somebody put there before is no output of this test.
  std::filesystem::create_directories(folder.scratch() + "/output/x");
  auto const tested = golden_test(folder.ground(), folder.candidate(), golden);
  CHECK((tested ? std::string() : tested.error().detail).empty());
  CHECK_FALSE(std::filesystem::exists(folder.scratch()));
}
