#include "server/rollout/engine/verdict_json.hpp"
#include "server/rollout/shell/live.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

#include <map>
#include <set>

namespace fleet::api {
namespace {

/// Samples as they stand in the answer: name and labels -> value.
using Samples = std::map<std::string, std::string, std::less<>>;

struct MetricsApi : test::ApiFixture {
  std::string body;

  Samples scrape() {
    auto const answer = fetch("/metrics", "flt_viewer");
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    body = answer.body;
    Samples out;
    std::string_view rest = body;
    while (!rest.empty()) {
      auto const line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.starts_with('#')) continue;
      auto const space = line.rfind(' ');
      CHECK_MESSAGE(out.emplace(line.substr(0, space), line.substr(space + 1)).second, line << " is there twice: a scrape would be refused");
    }
    return out;
  }
  void add_release() {
    sql({"test.model", "INSERT INTO models (name, created_at) VALUES ('reader', 0)"});
    sql({"test.release",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('reader', '1', x'01', 'x', x'00', 'approved', 'x', 0)"});
  }
  void add_rollout(std::string const& id, std::string const& state, std::string const& verdict = "{}", std::optional<SysTime> deadline = {}) {
    std::optional<std::int64_t> ends;
    if (deadline) ends = to_unix_ms(*deadline);
    sql({"test.rollout",
         "INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, stage, stage_since, deadline, verdict, created_by, created_at) "
         "SELECT ?1, 'reader', n, '1', '', '{}', 's', ?2, 2, ?3, ?4, ?5, 'x', 0 FROM releases"},
        id, state, to_unix_ms(test::kStart), ends, verdict);
  }
  void add_row(std::string const& rollout, std::string const& device, std::string const& state, std::optional<std::string> const& outcome, std::string const& arm) {
    add_device(device, crypto::sha256(device));
    sql({"test.row",
         "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, outcome, arm, attempt, dispatched_at, since, silent_at) "
         "SELECT r.n, d.n, 1, '', ?3, ?4, ?5, 1, 0, 0, 0 FROM rollouts r, devices d WHERE r.id = ?1 AND d.id = ?2"},
        rollout, device, state, outcome, arm);
  }
};

TEST_CASE_FIXTURE(MetricsApi, "a live rollout tells where it stands, what its devices came to, and how near its gates are") {
  add_release();
  rollout::Verdict verdict;
  verdict.gates = {{"failures", "harm", rollout::Ruling::hold, 10, 1000, {{"bad", 1}}, {}}, {"say \"aaa\\", "safe", rollout::Ruling::promote, 5, 2, {}, {}}};
  add_rollout("r_1", "running", rollout::updated_verdict("{}", verdict, {}, test::kStart), test::kStart + std::chrono::hours(1));
  add_rollout("r_2", "paused");
  add_rollout("r_3", "completed");
  struct Row {
    char const *state, *outcome, *arm;
  };
  int n = 0;
  for (auto const& [state, outcome, arm] : {Row{"healthy", "healthy", "canary"}, Row{"healthy", "failed", "canary"}, Row{"failed", "failed", "canary"},
                                            Row{"silent", "silent", "standing"}, Row{"waiting", "", "canary"}, Row{"probation", "", "canary"},
                                            Row{"dropped", "", "canary"}, Row{"failed", "failed", "control"}})
    add_row("r_1", fmt::format("d{}", n++), state, *outcome == '\0' ? std::nullopt : std::optional<std::string>(outcome), arm);

  auto const samples = scrape();
  auto const is = [&](std::string_view what, std::string_view value) {
    auto const found = samples.find(what);
    CHECK_MESSAGE((found != samples.end() && found->second == value), what << " is " << (found == samples.end() ? "not there" : found->second));
  };
  is(R"(fleet_rollout_info{rollout="r_1",model="reader",version="1",state="running"})", "1");
  is(R"(fleet_rollout_info{rollout="r_2",model="reader",version="1",state="paused"})", "1");
  is(R"(fleet_rollout_devices{rollout="r_1",model="reader",state="healthy"})", "1");
  is(R"(fleet_rollout_devices{rollout="r_1",model="reader",state="failed"})", "2");
  is(R"(fleet_rollout_devices{rollout="r_1",model="reader",state="silent"})", "1");
  is(R"(fleet_rollout_devices{rollout="r_1",model="reader",state="undecided"})", "2");
  is(R"(fleet_rollout_devices{rollout="r_2",model="reader",state="failed"})", "0");
  is(R"(fleet_rollout_stage{rollout="r_1",model="reader"})", "2");
  is(R"(fleet_rollout_stage_started_timestamp_seconds{rollout="r_1",model="reader"})", std::to_string(to_unix_ms(test::kStart) / 1000));
  is(R"(fleet_rollout_stage_deadline_timestamp_seconds{rollout="r_1",model="reader"})", std::to_string(to_unix_ms(test::kStart) / 1000 + 3600));
  CHECK_MESSAGE(!samples.contains(R"(fleet_rollout_stage_deadline_timestamp_seconds{rollout="r_2",model="reader"})"), "it has none");
  is(R"(fleet_rollout_gate_evidence_ratio{rollout="r_1",model="reader",gate="say \"aaa\\",test="safe"})", "1");
  CHECK(std::stod(samples.at(R"(fleet_rollout_gate_evidence_ratio{rollout="r_1",model="reader",gate="failures",test="harm"})")) == doctest::Approx(1. / 3));
  CHECK_MESSAGE(body.find("r_3") == std::string::npos, "what ended is counted, and told no more");
  is(R"(fleet_rollouts{state="completed"})", "1");
  is(R"(fleet_rollouts{state="rolled_back"})", "0");
}

TEST_CASE_FIXTURE(MetricsApi, "of very many live rollouts the newest are told") {
  add_release();
  for (int i = 1; i <= rollout::kLiveTold + 5; ++i) add_rollout(fmt::format("r_{:03}", i), "running");
  auto const samples = scrape();
  std::set<std::string> told;
  for (auto const& [what, value] : samples)
    if (what.starts_with("fleet_rollout_info{")) told.insert(what.substr(std::string_view("fleet_rollout_info{rollout=\"").size(), 5));
  CHECK(told.size() == rollout::kLiveTold);
  CHECK(*told.begin() == "r_006");
  CHECK(samples.at(R"(fleet_rollouts{state="running"})") == std::to_string(rollout::kLiveTold + 5));
}

TEST_CASE_FIXTURE(MetricsApi, "who is out of reach is told of the newest hour, and not guessed before the first") {
  CHECK_FALSE(scrape().contains("fleet_presence_devices"));
  CHECK_MESSAGE(body.find("# TYPE fleet_presence_devices gauge\n") != std::string::npos, "its name is there");
  sql({"test.hours", "INSERT INTO presence (hour, devices, away, returned) VALUES (500000, 90, 5, 0), (500001, 100, 7, 2)"});
  auto const samples = scrape();
  CHECK(samples.at("fleet_presence_devices") == "100");
  CHECK(samples.at("fleet_presence_offline_devices") == "7");
  CHECK(samples.at("fleet_presence_hour_timestamp_seconds") == "1800003600");
}

TEST_CASE_FIXTURE(MetricsApi, "ends of certificates and metadata are told, and how full a lane may get") {
  sql({"test.role", "INSERT INTO metadata (repository, role, version, bytes, expires_at) VALUES ('release', 'timestamp', 1, CAST('t' AS BLOB), ?1)"},
      to_unix_ms(test::kStart + std::chrono::hours(6)));
  auto samples = scrape();
  CHECK(samples.at(R"(fleet_trust_expires_in_seconds{role="timestamp"})") == "21600");
  CHECK(samples.at(R"(fleet_trust_lifetime_seconds{role="timestamp"})") == "86400");
  CHECK(samples.at(R"(fleet_certificate_expires_in_seconds{certificate="ca"})") == std::to_string(24 * 3650 * 3600));
  CHECK_FALSE(samples.contains(R"(fleet_certificate_expires_in_seconds{certificate="server"})"));
  services.certificate_until = test::kStart + std::chrono::hours(1);
  samples = scrape();
  CHECK(samples.at(R"(fleet_certificate_expires_in_seconds{certificate="server"})") == "3600");
  for (auto const& rule : store::kLaneRules) {
    CHECK(samples.at(fmt::format("fleet_store_waiting_max{{lane=\"{}\"}}", rule.name)) == std::to_string(rule.waiting_max));
    CHECK(samples.contains(fmt::format("fleet_store_waiting{{lane=\"{}\"}}", rule.name)));
  }
}

TEST_CASE_FIXTURE(MetricsApi, "every family has its help and its type before its samples, and a name that counts ends so") {
  (void)scrape();
  std::set<std::string> families;
  std::string current;
  std::string_view rest = body;
  while (!rest.empty()) {
    auto const line = std::string(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with("# HELP ")) {
      current = line.substr(7, line.find(' ', 7) - 7);
      CHECK_MESSAGE(families.insert(current).second, current << " is begun twice");
      CHECK_MESSAGE(line.size() > 7 + current.size() + 10, line);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(line == fmt::format("# TYPE {} {}", current, current.ends_with("_total") ? "counter" : "gauge"));
    } else {
      CHECK_MESSAGE(line.substr(0, line.find_first_of("{ ")) == current, line);
    }
  }
  CHECK(families.size() > 30);
}

}  // namespace
}  // namespace fleet::api
