#include "core/wire/release.hpp"
#include "server/rollout/engine/membership.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

namespace fleet::api {
namespace {

using enum net::Method;

constexpr char const* kTwoStages = R"({"stages":[{"percent":10},{"percent":100}]})";

/// A rollout of two stages that runs since `kStart`, and one device.
struct RolloutApi : test::ApiFixture {
  RolloutApi() {
    wire::Release release;
    release.model = "reader";
    release.version = "1";
    release.variants.push_back({{"cam-a"}, {{"model.bin", 5, crypto::sha256("file"), false}}});
    auto const document = wire::encode(release);
    sql({"test.model", "INSERT INTO models (name, created_at) VALUES ('reader', 0)"});
    sql({"test.release",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) "
         "VALUES ('reader', '1', ?1, ?2, x'00', 'approved', 'x', 0)"},
        crypto::sha256(document), document);
    sql({"test.rollout",
         "INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, stage, stage_since, started_at, created_by, created_at) "
         "SELECT 'r_1', 'reader', n, '1', '', ?1, 's', 'running', 1, ?2, ?2, 'x', 0 FROM releases"},
        kTwoStages, to_unix_ms(test::kStart));
    rollout::Places places{{"cam-a", {1, 2}}};
    auto const ladder = rollout::make_ladder(rollout::decode_policy(kTwoStages)->stages, 0, places);
    sql({"test.ladder", "INSERT INTO rollout_ladders (rollout, ladder) SELECT n, ?1 FROM rollouts"}, rollout::encode(ladder));
    add_device("cam-1", crypto::sha256("cam-1"));
  }
};

/// Every thread held that one kind of work runs on.
struct WorkersHeld {
  WorkersHeld(test::ApiFixture& fixture, std::string const& path) {
    for (int i = 0; i < 8; ++i) waiting.push_back(fixture.start({get, path}));
  }
  ~WorkersHeld() {
    test::Probe::open_gate();
    for (auto& one : waiting) one.wait();
  }
  std::vector<std::future<net::Response>> waiting;
};

TEST_CASE_FIXTURE(RolloutApi, "verbs answer while every worker is busy") {
  WorkersHeld const held(*this, "/probe/block");
  struct Case {
    std::string_view verb, state;
  };
  constexpr auto kCases = std::to_array<Case>(
      {{"pause", "paused"}, {"resume", "running"}, {"promote", "running"}, {"retry", "running"}, {"abort", "aborted"}, {"rollback", "rolling_back"}});
  for (auto const& [verb, state] : kCases) {
    CAPTURE(verb);
    auto const answer = submit(fmt::format("/api/v1/rollouts/r_1:{}", verb), verb == "promote" ? R"({"stage":1})" : R"({"reason":"x"})", "flt_operator");
    CHECK_MESSAGE(answer.status == 200, answer.body);
    CHECK(answer.text("state") == state);
    CHECK_FALSE(answer.header("ETag").empty());
  }
  CHECK(submit("/api/v1/devices/cam-1:unhold", "{}", "flt_operator").status == 200);
}

TEST_CASE_FIXTURE(RolloutApi, "what takes minutes holds up nothing that is shorter") {
  for (auto const* table : {&catalog_routes(), &simulation_routes()})
    for (auto const& route : *table)
      if ((route.method == put && route.pattern == "/api/v1/uploads/{id}") || route.pattern == "/api/v1/rollouts:simulate")
        CHECK_MESSAGE(route.pool != Pool::scans, route.pattern);
  WorkersHeld const held(*this, "/probe/long");
  CHECK(fetch("/api/v1/rollouts/r_1").status == 200);
  CHECK(fetch("/metrics").status == 200);
}

TEST_CASE_FIXTURE(RolloutApi, "devices of a rollout are listed by the stage and the state that the list shows") {
  add_device("cam-2", crypto::sha256("cam-2"));
  for (auto const& [device, stage, state] : {std::tuple{"cam-1", 1, "healthy"}, std::tuple{"cam-2", -1, "dispatched"}})
    sql({"test.row",
         "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, attempt, dispatched_at, since, silent_at) "
         "SELECT r.n, d.n, ?2, '', ?3, 1, 0, 0, 0 FROM rollouts r, devices d WHERE d.id = ?1"},
        device, stage, state);
  auto const listed = [&](std::string const& query) {
    std::string out;
    auto const page = fetch("/api/v1/rollouts/r_1/devices" + query).json();
    for (auto const& item : page.at("items").as_array()) out += fmt::format("{}:{} ", item.at("device").as_string().c_str(), item.at("stage").as_int64());
    return out;
  };
  CHECK(listed("") == "cam-1:1 cam-2:2 ");
  CHECK(listed("?stage=1") == "cam-1:1 ");
  CHECK_MESSAGE(listed("?stage=2") == "cam-2:2 ", "held back, and shown as of the last stage");
  CHECK(listed("?state=healthy") == "cam-1:1 ");
  CHECK(listed("?state=reverted").empty());
  for (auto const* const query : {"?state=asleep", "?stage=0", "?stage=1x"})
    CHECK(fetch(std::string("/api/v1/rollouts/r_1/devices") + query).code() == "bad_parameter");
  CHECK(fetch("/api/v1/rollouts/r_1/devices?cursor=eHg").code() == "bad_cursor");
}

TEST_CASE_FIXTURE(RolloutApi, "a verb that is sent again with its key answers as before and does nothing") {
  net::Headers const key{{"Idempotency-Key", "k1"}};
  auto const first = submit("/api/v1/rollouts/r_1:pause", "{}", "flt_operator", key);
  CHECK(first.text("state") == "paused");
  CHECK(submit("/api/v1/rollouts/r_1:resume", "{}", "flt_operator").text("state") == "running");
  CHECK(submit("/api/v1/rollouts/r_1:pause", "{}", "flt_operator", key).body == first.body);
  CHECK(fetch("/api/v1/rollouts/r_1").text("state") == "running");
}

/// `pointer: detail` of each finding, one a line.
std::string findings_of(test::Answer const& answer) {
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  std::string out;
  auto const told = answer.json();
  for (auto const& one : told.at("findings").as_array()) out += fmt::format("{}: {}\n", one.at("pointer").as_string().c_str(), one.at("detail").as_string().c_str());
  return out;
}

constexpr std::string_view kMetricPolicy =
    R"({"stages":[{"percent":10},{"percent":100}],"strata":["site"],"gates":{"absolute":[{"metric":"acuracy","min":0.9}]}})";

TEST_CASE_FIXTURE(RolloutApi, "lint looks at devices only where it is told which") {
  auto const alone = submit("/api/v1/policies:lint", R"({"policy":"standard"})", "flt_viewer");
  CHECK(alone.body == R"({"policy":"standard","findings":[]})");
  CHECK(findings_of(submit("/api/v1/policies:lint", fmt::format(R"({{"policy":{}}})", kMetricPolicy), "flt_viewer")).empty());
  auto const found = findings_of(submit("/api/v1/policies:lint", fmt::format(R"({{"policy":{},"selector":""}})", kMetricPolicy), "flt_viewer"));
  CHECK(found.find("/policy/gates/absolute/0/metric: no device ever sent 'acuracy'") != std::string::npos);
  CHECK(found.find("/policy/strata/0: none of the 1 device has the label 'site'") != std::string::npos);
}

TEST_CASE_FIXTURE(RolloutApi, "lint of a preset is about what it becomes for the devices, and counts them") {
  for (int i = 2; i <= 20; ++i) add_device(fmt::format("cam-{}", i), crypto::sha256(fmt::format("cam-{}", i)), R"({"site":"lab"})");
  auto const told = submit("/api/v1/policies:lint", R"({"policy":"standard","selector":"site=lab"})", "flt_viewer").json();
  CHECK(told.at("devices").as_int64() == 19);
  CHECK(told.at("policy").at("stages").as_array().size() > 1);
  auto const nobody = submit("/api/v1/policies:lint", R"({"policy":"standard","selector":"site=moon"})", "flt_viewer");
  CHECK(findings_of(nobody) == "/policy: no device is selected\n");
}

TEST_CASE_FIXTURE(RolloutApi, "lint compares what a release asks for with what devices report") {
  wire::Release release;
  release.model = "reader";
  release.version = "2";
  release.release_counter = 2;
  release.variants.push_back({{"cam-a"}, {{"model.bin", 5, crypto::sha256("file"), false}}});
  release.manifest.match.runtime = "onnxruntime>=1.16,<2";
  auto const document = wire::encode(release);
  sql({"test.release2",
       "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('reader', '2', ?1, ?2, x'00', 'approved', 'x', 0)"},
      crypto::sha256(document), document);
  std::string const body = R"({"policy":"standard","selector":"","model":"reader","version":"2"})";
  auto const before = findings_of(submit("/api/v1/policies:lint", body, "flt_viewer"));
  CHECK_MESSAGE(before.find("none of 1 device meets what reader@2 asks for: onnxruntime>=1.16") != std::string::npos, before);
  sql({"test.reported", R"(UPDATE devices SET reported = '{"onnxruntime":"1.15.1"}')"});
  auto const older = findings_of(submit("/api/v1/policies:lint", body, "flt_viewer"));
  CHECK_MESSAGE(older.find("onnxruntime>=1.16") != std::string::npos, older);
  sql({"test.reported", R"(UPDATE devices SET reported = '{"onnxruntime":"1.17.0"}')"});
  CHECK(findings_of(submit("/api/v1/policies:lint", body, "flt_viewer")).find("asks for") == std::string::npos);
}

TEST_CASE_FIXTURE(RolloutApi, "lint of a test looks at the release that it is against, once the rollout's own is known") {
  auto const code = [&](std::string const& against, std::string const& more) {
    auto const answer = submit("/api/v1/policies:lint", fmt::format(R"({{"policy":{{"ab":{{"against":"{}"}},"gates":{{"failures":{{}}}}}}{}}})", against, more), "flt_viewer");
    return answer.status == 200 ? std::string() : answer.code();
  };
  for (auto const* const version : {"2", "3"}) {
    wire::Release release;
    release.model = "reader";
    release.version = version;
    release.release_counter = 2;
    release.variants.push_back({{"cam-a"}, {{"model.bin", 5, crypto::sha256("file"), false}}});
    auto const document = wire::encode(release);
    sql({"test.releases",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('reader', ?1, ?2, ?3, x'00', 'approved', 'x', 0)"},
        version, crypto::sha256(document), document);
  }
  std::string const asked = R"(,"selector":"","model":"reader","version":"2")";
  CHECK(code("reader@9", "").empty());
  CHECK(code("reader@3", asked).empty());
  CHECK(code("reader@9", asked) == "unknown_release");
  CHECK(code("reader@2", asked) == "not_to_be_tested");
  CHECK(code("other@1", asked) == "not_to_be_tested");
}

TEST_CASE_FIXTURE(RolloutApi, "what lint and preset are not asked rightly") {
  struct Case {
    std::string_view path, body, code;
  };
  constexpr auto kCases = std::to_array<Case>({
      {"lint", "{}", "bad_body"},
      {"lint", R"({"policy":"standard","selector":"","model":"reader"})", "bad_body"},
      {"lint", R"({"policy":"standard","model":"reader","version":"1"})", "bad_body"},
      {"lint", R"({"policy":"standard","selector":"","model":"reader","version":"7"})", "unknown_release"},
      {"lint", R"({"policy":"standard","selector":"site=("})", "bad_selector"},
      {"lint", R"({"policy":{"stages":[{"percent":0}]}})", "bad_policy"},
      {"preset", R"({"selector":""})", "bad_body"},
      {"preset", R"({"name":"bold"})", "bad_body"},
      {"preset", R"({"name":"standard","selector":"site=moon"})", "no_devices"},
  });
  for (auto const& [path, body, code] : kCases) {
    CAPTURE(body);
    CHECK(submit(fmt::format("/api/v1/policies:{}", path), std::string(body), "flt_viewer").code() == code);
  }
}

TEST_CASE_FIXTURE(RolloutApi, "a preset is printed as the policy that a rollout of these devices would have") {
  for (int i = 2; i <= 40; ++i) add_device(fmt::format("cam-{}", i), crypto::sha256(fmt::format("cam-{}", i)));
  auto const answer = submit("/api/v1/policies:preset", R"({"name":"standard"})", "flt_viewer");
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  auto const policy = rollout::decode_policy(answer.body);
  REQUIRE(policy.has_value());
  CHECK(policy->preset.empty());
  CHECK(policy->stages.front().size.devices == 1);
  CHECK(policy->stages.back().is_whole());
}

TEST_CASE_FIXTURE(RolloutApi, "metrics of other models are told to nobody who is limited to one, and to nobody who is limited to devices") {
  sql({"test.metric", "INSERT INTO metric_names (model, metric, kind, seen) VALUES ('reader', 'accuracy', 'd', 0), ('other', 'speed', 'd', 0)"});
  add_token("limited-m", "viewer", "reader");
  add_token("limited-s", "viewer", {}, "site=lab");
  sql({"test.labels", R"(UPDATE devices SET labels = '{"site":"lab"}')"});
  auto const ask = [&](std::string_view selector, std::string const& token) {
    return submit("/api/v1/policies:lint", fmt::format(R"({{"policy":{},"selector":"{}"}})", kMetricPolicy, selector), token).body;
  };
  CHECK(ask("", "flt_viewer").find("sent are accuracy, speed") != std::string::npos);
  CHECK(ask("", "flt_limited-m").find("sent are accuracy\"") != std::string::npos);
  CHECK(ask("site=lab", "flt_limited-s").find("ever sent") == std::string::npos);
  CHECK(ask("", "flt_limited-s").find("out_of_scope") != std::string::npos);
}

}  // namespace
}  // namespace fleet::api
