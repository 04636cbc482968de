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
    auto const compared = compare_outputs(expected, got, {tolerance});
    CHECK(compared.has_value() == difference.empty());
    if (compared) continue;
    CHECK(compared.error().code == "golden_mismatch");
    CHECK(compared.error().detail.find(difference) != std::string::npos);
  }
}

TEST_CASE("a column has its own tolerance, by its name in the first line or by its number") {
  struct Case {
    std::string_view expected, got;
    std::map<std::string, double> of;
    std::string_view code, words;
  };
  for (auto const& [expected, got, of, code, words] : std::to_array<Case>({
           {"id,score\n1,0.5\n", "id,score\n1,0.52\n", {{"score", 0.05}}, "", ""},
           {"id,score\n1,0.5\n", "id,score\n1,0.56\n", {{"score", 0.05}}, "golden_mismatch", "line 2, cell 2: expected 0.5, got 0.56 (tolerance 0.05)"},
           {"id,score\n1,0.5\n", "id,score\n1.01,0.5\n", {{"score", 0.05}}, "golden_mismatch", "line 2, cell 1"},
           {"id, mean score \n1, 0.5\n", "id, mean score\n1, 0.52\n", {{"mean score", 0.05}}, "", ""},
           {"\"id\";\"score\"\n1;0.5\n", "\"id\";\"score\"\n1;0.52\n", {{"score", 0.05}}, "", ""},
           {"1,0.5\n2,0.7\n", "1,0.52\n2,0.71\n", {{"2", 0.05}}, "", ""},
           {"1 0.5\n2 0.7\n", "1 0.52\n2 0.71\n", {{"2", 0.05}}, "", ""},
           {"1 0.5\n2 0.7\n", "1.02 0.5\n2 0.71\n", {{"2", 0.05}}, "golden_mismatch", "line 1, cell 1"},
           {"id,2\n1,0.5\n", "id,2\n1,0.52\n", {{"2", 0.05}}, "", ""},
           {"a big cat,0.5", "a big cat,0.52", {{"2", 0.05}}, "", ""},
           {"id,score\n1,0.5\n", "id,score\n1,0.5\n", {{"scores", 0.05}}, "unknown_column", "no column 'scores': the first line has 2 (id, score)"},
           {"id,score\n", "id,score\n", {{"3", 0.05}}, "unknown_column", "no column '3'"},
           {"id,score\n", "id,score\n", {{"0", 0.05}}, "unknown_column", "no column '0'"},
           {"", "", {{"a", 0.05}}, "unknown_column", "has 0"},
       })) {
    CAPTURE(expected);
    CAPTURE(got);
    auto const compared = compare_outputs(expected, got, {0, of});
    REQUIRE((compared ? std::string_view() : std::string_view(compared.error().code)) == code);
    if (!compared) CHECK(compared.error().detail.find(words) != std::string::npos);
    CHECK(check_columns(expected, {0, of}).has_value() == (code != "unknown_column"));
  }
}

TEST_CASE("an inference's time is what the program says of each, else the run's by the lines of the expected output") {
  auto const of_run = latency_of("", Millis{600}, "h\n1\n\n  \n2\n3\r\n4\n5");
  CHECK(of_run->ms == doctest::Approx(100));
  CHECK(of_run->inferences == 6);
  CHECK_FALSE(of_run->stated);
  CHECK(latency_of("\n", Millis{600}, "")->ms == doctest::Approx(600));
  std::string hundred;
  for (int i = 100; i > 0; --i) hundred += std::to_string(i) + ".5\n";
  auto const stated = latency_of(hundred, Millis{600}, "1");
  CHECK(stated->ms == doctest::Approx(95.5));
  CHECK(stated->inferences == 100);
  CHECK(stated->stated);
  CHECK(latency_of("3 1\t2", Millis{600}, "1")->ms == doctest::Approx(3));
  for (std::string const wrong : {"1\nfast", "1 -1", "nan", "1 inf", "1,2", "12ms"}) {
    CAPTURE(wrong);
    auto const refused = latency_of(wrong, Millis{600}, "1");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == "golden_failed");
    CHECK(refused.error().detail.find("$FLEET_LATENCIES") != std::string::npos);
  }
}

TEST_CASE("budgets are judged by what the run used, and told with what was measured and what is allowed") {
  struct Case {
    std::string body;
    double latency_max_ms;
    std::uint64_t memory_max;
    std::string code, words;
  };
  std::uint64_t const mebibyte = 1 << 20;
  for (auto const& [body, latency, memory, code, words] : std::to_array<Case>({
           {"true", 100'000, 512 * mebibyte, "", ""},
           {"dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null", 0, 32 * mebibyte, "golden_memory", "at most 32.0 MiB are allowed (33554432)"},
           {"dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null & wait", 0, 32 * mebibyte, "golden_memory", "at its peak"},
           {"dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null", 0, 0, "", ""},
           {"echo 1 4 60 > $FLEET_LATENCIES", 50, 0, "golden_latency", "took 60 ms (the 95th percentile of 3 inferences, as the program says), at most 50 ms"},
           {"echo 1 4 40 > $FLEET_LATENCIES", 50, 0, "", ""},
           {"sleep 0.1", 20, 0, "golden_latency", "for 2 lines, start and loading included), at most 20 ms"},
           {"echo quick > $FLEET_LATENCIES", 0, 0, "golden_failed", "'quick' is no time"},
           {"ln -s /etc/passwd $FLEET_LATENCIES", 0, 0, "golden_mismatch", "$FLEET_LATENCIES"},
       })) {
    CAPTURE(body);
    ReleaseFolder folder;
    folder.put("out.csv", "1,2\n3,4\n");
    folder.script("golden", "cat out.csv > $FLEET_OUTPUT; " + body + "; echo said");
    wire::Golden golden{{"golden"}, Millis{10'000}, "", "out.csv", 0};
    golden.latency_max_ms = latency;
    golden.memory_max_bytes = memory;
    auto const tested = golden_test(folder.ground(), folder.candidate(), golden);
    REQUIRE((tested ? std::string() : tested.error().code) == code);
    if (tested) CHECK(tested->peak_bytes > 0);
    if (!tested) CHECK(tested.error().detail.find(words) != std::string::npos);
    if (!tested) CHECK(tested.error().hint == "said\n");
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
    auto const timeout = code == "golden_timeout" ? Millis{1'000} : Millis{60'000};  // a machine that does much else starts a program late
    wire::Golden const golden{{"golden"}, timeout, "in.csv", "out.csv", 1e-4};
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
