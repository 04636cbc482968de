#include "core/wire/release.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

namespace fleet::api {
namespace {

using enum net::Method;

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
         "INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, stage, started_at, created_by, created_at) "
         "SELECT 'r_1', 'reader', n, '1', '', ?1, 's', 'running', 1, ?2, 'x', 0 FROM releases"},
        R"({"stages":[{"percent":10},{"percent":100}]})", to_unix_ms(test::kStart));
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
         "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, attempt, dispatched_at, since, silent_at, eligible) "
         "SELECT r.n, d.n, ?2, '', ?3, 1, 0, 0, 0, 1 FROM rollouts r, devices d WHERE d.id = ?1"},
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

}  // namespace
}  // namespace fleet::api
