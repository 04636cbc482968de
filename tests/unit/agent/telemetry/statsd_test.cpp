#include "agent/telemetry/statsd.hpp"
#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDigest(64, 'a');

std::vector<Sample> samples_of(std::string_view line, bool& fine) {
  std::vector<Sample> out;
  fine = parse_line(line, [&](Sample const& sample) { out.push_back(sample); });
  return out;
}

}  // namespace

TEST_CASE("plain and DogStatsD lines") {
  struct Case {
    std::string line, name, type;
    double value, weight;
    std::string model, release;
  };
  for (auto const& wanted : std::to_array<Case>({
           {"inferences:1|c", "inferences", "c", 1, 1, "", ""},
           {"inferences:3|c|@0.5", "inferences", "c", 3, 2, "", ""},
           {"accuracy:0.5|d", "accuracy", "d", 0.5, 1, "", ""},
           {"confidence:0.93|h|#model:reader,release:" + kDigest, "confidence", "h", 0.93, 1, "reader", kDigest},
           {"latency_ms:12.5|ms|@0.25|#release:" + kDigest, "latency_ms", "ms", 12.5, 4, "", kDigest},
           {"latency_ms:12.5|ms|#release:" + kDigest + "|@0.25", "latency_ms", "ms", 12.5, 4, "", kDigest},
           {"temperature:-4e1|g", "temperature", "g", -40, 1, "", ""},
           {"drift:+2|g", "drift", "g", 2, 1, "", ""},
           {"a.b_c-d/e:1|c|#other:x,novalue,model:m", "a.b_c-d/e", "c", 1, 1, "m", ""},
           {"x:1|c|c:container|T1656581400", "x", "c", 1, 1, "", ""},
           {"x:1|c|#release:latest,model:Not A Model", "x", "c", 1, 1, "", ""},
       })) {
    CAPTURE(wanted.line);
    bool fine = false;
    auto const got = samples_of(wanted.line, fine);
    CHECK(fine);
    REQUIRE(got.size() == 1);
    CHECK(got[0].name == wanted.name);
    CHECK(got[0].type == wanted.type);
    CHECK(got[0].value == doctest::Approx(wanted.value));
    CHECK(got[0].weight == doctest::Approx(wanted.weight));
    CHECK(got[0].model == wanted.model);
    CHECK(got[0].release == wanted.release);
  }
}

TEST_CASE("a DogStatsD line may pack several values") {
  bool fine = false;
  auto const got = samples_of("latency_ms:1:2:3.5|d", fine);
  CHECK(fine);
  REQUIRE(got.size() == 3);
  CHECK(got[2].value == 3.5);
}

TEST_CASE("a gauge's sign and a set's text mean what StatsD means by them") {
  bool fine = false;
  CHECK(samples_of("depth:+5|g", fine)[0].is_change);
  CHECK(samples_of("depth:-5|g", fine)[0].is_change);
  CHECK_FALSE(samples_of("depth:5|g", fine)[0].is_change);
  CHECK_FALSE(samples_of("errors:-5|c", fine)[0].is_change);
  auto const users = samples_of("users:anna:bert:anna|s", fine);
  REQUIRE(users.size() == 3);
  CHECK(users[0].member == users[2].member);
  CHECK(users[0].member != users[1].member);
}

TEST_CASE("what is no sample is not taken") {
  for (std::string const line : {"",
                                 ":",
                                 "|",
                                 "x",
                                 "x:",
                                 "x:1",
                                 "x:1|",
                                 "x:|c",
                                 "x:1|q",
                                 "x:|s",
                                 ":1|c",
                                 "x:one|c",
                                 "x:nan|g",
                                 "x:inf|g",
                                 "x:1e300|c",
                                 "x:1|c|@0",
                                 "x:1|c|@2",
                                 "x:1|c|@-1",
                                 "x:1|c|@1e-300",
                                 "x y:1|c",
                                 "agent.install_failure:1|c",
                                 "\xff\xfe:1|c",
                                 "x:1:|c|@x"}) {
    CAPTURE(line);
    bool fine = true;
    samples_of(line, fine);
    CHECK_FALSE(fine);
  }
  bool fine = true;
  CHECK(samples_of(std::string(200, 'n') + ":1|c", fine).empty());
}

TEST_CASE("random bytes never give a sample that a report could not carry") {
  SeededRandom random{5};
  std::string_view const alphabet = "ax:1|c@#.,-e\xff\n9dgms";
  for (int round = 0; round < 20'000; ++round) {
    std::string line(random.next() % 40, ' ');
    for (auto& c : line) c = alphabet[random.next() % alphabet.size()];
    bool fine = false;
    for (auto const& sample : samples_of(line, fine)) {
      CHECK(std::abs(sample.value) <= 1e15);
      CHECK(sample.weight >= 1);
      CHECK(sample.weight <= 1e6);
      CHECK((sample.release.empty() || sample.release.size() == 64));
    }
  }
}
