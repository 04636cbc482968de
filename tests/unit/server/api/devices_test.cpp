#include "server/rollout/shell/device_rows.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

#include <boost/json/serialize.hpp>

#include "server/rollout/shell/engine.hpp"

#include <set>

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

/// Says what the test told it.
struct FixedEngine final : rollout::Engine {
  rollout::Decision decision;
  FakeClock own_clock{SysTime{}};
  rollout::ServiceClock service{own_clock, Millis{0}};
  Millis heard(std::int64_t, rollout::Habits const&) override { return {}; }
  Millis heard(std::int64_t) override { return {}; }
  rollout::ServiceClock& clock() override { return service; }
  Result<rollout::Decision> decide(db::Connection&, registry::DeviceFacts const&, SysTime) override { return decision; }
  Result<void> dispatched(store::Tx&, registry::DeviceFacts const&, rollout::Decision const&, SysTime) override { return {}; }
  Result<void> withdrawn(store::Tx&, std::int64_t, rollout::ModelStatuses const&, rollout::Decision const&) override { return {}; }
  Result<void> left(store::Tx& tx, std::int64_t device_n, rollout::Leaving how, SysTime now) override {
    std::vector<rollout::Site> freed;
    return rollout::note_left(tx, device_n, how, now, freed);
  }
  Result<void> on_poll(store::Tx&, std::int64_t, rollout::ModelStatuses const&, rollout::ModelStatuses const&, SysTime) override { return {}; }
  Result<void> on_update(store::Tx&, registry::DeviceFacts const&, wire::UpdateItem const&, SysTime) override { return {}; }
  Result<void> on_metrics(store::Tx&, registry::DeviceFacts const&, wire::MetricsItem const&, SysTime) override { return {}; }
  void start() override {}
  void stop() override {}
  Result<int> look() override { return 0; }
};

struct Fixture : ApiFixture {
  FixedEngine engine;
  Digest const key = crypto::sha256("1");
  Fixture() {
    services.rollouts = &engine;
    add_device("cam-1", key);
  }
  std::string join_token(std::string const& body = "{}") {
    auto const made = submit("/api/v1/device-tokens", body);
    REQUIRE(made.status == 201);
    return std::string(made.json().at("items").at(0).at("secret").as_string());
  }
  test::Answer enroll(std::string const& token, std::string const& csr, std::string const& id) {
    return device_send(net::Method::post, "/device/v1/enroll", wire::encode(wire::EnrollRequest{token, csr, id, "cam-a", {}}));
  }
};

TEST_CASE_FIXTURE(Fixture, "a device on its connection is known by its key") {
  CHECK(device_send(get, "/device/v1/probe").code() == "no_certificate");
  be_device(crypto::sha256("stranger"));
  CHECK(device_send(get, "/device/v1/probe").code() == "unknown_device");
  be_device(key);
  auto const answer = device_send(get, "/device/v1/probe");
  CHECK(answer.status == 200);
  CHECK(answer.body == "||device:cam-1");
  CHECK(device_send(get, "/probe/shared").status == 200);
  CHECK_MESSAGE(device_send(get, "/probe/operate").status == 404, "the API's routes are not on the device listener");
  CHECK_MESSAGE(device_send(get, "/api/v1/devices").status == 404, "the API's routes are not on the device listener");
}

TEST_CASE_FIXTURE(Fixture, "revoking bites at the next request of an open connection") {
  be_device(key);
  REQUIRE(device_send(get, "/device/v1/probe").status == 200);
  auto const* session = attachment.get();
  REQUIRE(device_send(get, "/device/v1/probe").status == 200);
  CHECK(attachment.get() == session);
  CHECK(submit("/api/v1/devices/cam-1:revoke", "{}").status == 400);
  auto const revoked = submit("/api/v1/devices/cam-1:revoke", R"({"reason":"stolen"})");
  CHECK(revoked.status == 200);
  CHECK(revoked.text("state") == "revoked");
  auto const answer = device_send(get, "/device/v1/probe");
  CHECK(answer.status == 403);
  CHECK(answer.code() == "device_revoked");
  CHECK(device_send(get, "/device/v1/probe").code() == "device_revoked");
  CHECK_MESSAGE(submit("/api/v1/devices/cam-1:revoke", R"({"reason":"stolen"})").status == 200, "again is no error");
  CHECK(text({"test.audit", "SELECT count(*) || reason FROM audit WHERE action = 'device.revoked'"}) == "1stolen");
}

TEST_CASE_FIXTURE(Fixture, "a retired device is refused, a deleted one unknown, on an open connection too") {
  be_device(key);
  REQUIRE(device_send(get, "/device/v1/probe").status == 200);
  CHECK(send({del, "/api/v1/devices/cam-1"}).code() == "device_active");
  CHECK(submit("/api/v1/devices/cam-1:retire", "").status == 200);
  CHECK(device_send(get, "/device/v1/probe").code() == "device_retired");
  CHECK(send({del, "/api/v1/devices/cam-1"}).status == 204);
  CHECK(device_send(get, "/device/v1/probe").code() == "unknown_device");
  CHECK(fetch("/api/v1/devices/cam-1").status == 404);
}

TEST_CASE_FIXTURE(Fixture, "an expired certificate reaches the renewal only") {
  auto const private_key = *crypto::make_private_key();
  auto const csr = *crypto::make_request(private_key, "x");
  auto const sha = crypto::inspect_request(csr)->key_sha256;
  add_device("cam-2", sha);
  be_device(sha);
  REQUIRE(device_send(get, "/device/v1/probe").status == 200);
  clock.advance(std::chrono::hours(24) * 365);
  CHECK(device_send(get, "/device/v1/probe").code() == "certificate_expired");
  auto const body = boost::json::serialize(boost::json::object{{"csr", csr}});
  auto const renewed = device_send(net::Method::post, "/device/v1/renew", body);
  REQUIRE_MESSAGE(renewed.status == 200, renewed.body);
  CHECK(crypto::inspect_certificate(renewed.text("certificate"))->common_name == "cam-2");
  CHECK(device_send(get, "/device/v1/probe").status == 200);
  peer.has_certificate = false;
  CHECK(device_send(net::Method::post, "/device/v1/renew", body).code() == "no_certificate");
}

TEST_CASE_FIXTURE(Fixture, "a renewed key works at once and becomes the only one") {
  auto const csr = *crypto::make_request(*crypto::make_private_key(), "x");
  be_device(key);
  REQUIRE(device_send(net::Method::post, "/device/v1/renew", boost::json::serialize(boost::json::object{{"csr", csr}})).status == 200);
  CHECK_MESSAGE(device_send(get, "/device/v1/probe").status == 200, "the answer may be lost: the old key still counts");
  be_device(crypto::inspect_request(csr)->key_sha256);
  CHECK(device_send(get, "/device/v1/probe").body == "||device:cam-1");
  REQUIRE(store->write_wait(store::Lane::verbs, [](store::Tx&) -> Result<void> { return {}; }));
  CHECK(device_send(get, "/device/v1/probe").status == 200);
  be_device(key);
  CHECK(device_send(get, "/device/v1/probe").code() == "unknown_device");
}

TEST_CASE_FIXTURE(Fixture, "a device enrols over the wire; a second key waits for an operator") {
  auto const first = *crypto::make_request(*crypto::make_private_key(), "x");
  auto const second = *crypto::make_request(*crypto::make_private_key(), "x");
  auto const entered = enroll(join_token(), first, "cam-9");
  REQUIRE_MESSAGE(entered.status == 200, entered.body);
  CHECK(entered.text("state") == "active");
  be_device(crypto::inspect_request(first)->key_sha256);
  CHECK(device_send(get, "/device/v1/probe").body == "||device:cam-9");
  auto const token = join_token();
  auto const waiting = enroll(token, second, "cam-9");
  CHECK(waiting.status == 202);
  CHECK(waiting.text("state") == "pending");
  auto const pending = fetch("/api/v1/devices?state=pending").json().at("items");
  REQUIRE(pending.as_array().size() == 1);
  auto const sha = crypto::inspect_request(second)->key_sha256;
  CHECK(pending.at(0).at("key").as_string() == sha.hex());
  CHECK(pending.at(0).at("state") == "pending");
  CHECK(submit("/api/v1/devices/cam-9:approve", R"({"key":"x"})").status == 400);
  CHECK(submit("/api/v1/devices/cam-9:approve", fmt::format(R"({{"reason":"swapped","key":"{}"}})", sha.hex())).status == 200);
  CHECK_MESSAGE(device_send(get, "/device/v1/probe").code() == "unknown_device", "the first board is out");
  auto const fetched = enroll(token, second, "cam-9");
  CHECK(fetched.status == 200);
  be_device(sha);
  CHECK(device_send(get, "/device/v1/probe").body == "||device:cam-9");
  CHECK(enroll("fle_wrong", second, "cam-9").status == 401);
  CHECK(device_send(net::Method::post, "/device/v1/enroll", "{").status == 400);
}

TEST_CASE_FIXTURE(Fixture, "labels change with If-Match only") {
  auto const body = R"({"labels":{"region":"eu"}})";
  CHECK(send({patch, "/api/v1/devices/cam-1", body}).status == 428);
  auto const etag = fetch("/api/v1/devices/cam-1").header("ETag");
  auto const changed = send({patch, "/api/v1/devices/cam-1", body, "flt_operator", {{"If-Match", etag}}});
  CHECK(changed.status == 200);
  CHECK(changed.json().at("labels").at("region") == "eu");
  CHECK(send({patch, "/api/v1/devices/cam-1", body, "flt_operator", {{"If-Match", etag}}}).status == 412);
  CHECK(fetch("/api/v1/devices?selector=region%3Deu").json().at("items").as_array().size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a thousand devices are listed page by page, each once") {
  REQUIRE(store->write_wait(store::Lane::verbs, [](store::Tx& tx) -> Result<void> {
    for (int i = 0; i < 999; ++i) {
      auto add = tx.prepare({"test.fill", "INSERT INTO devices (id, hardware, state, key_sha256, not_after, created_at) VALUES (?1, 'h', 'active', ?2, 0, 0)"});
      add.bind_all(fmt::format("d-{}", i), crypto::sha256(fmt::format("k{}", i)));
      FLEET_CHECK(add.run());
    }
    return {};
  }));
  std::set<std::string> ids;
  std::size_t seen = 0;
  std::string cursor;
  do {
    auto const page = fetch("/api/v1/devices?limit=77" + cursor).json();
    for (auto const& item : page.at("items").as_array()) ids.emplace(item.at("id").as_string());
    seen += page.at("items").as_array().size();
    cursor = page.at("next").is_null() ? "" : "&cursor=" + std::string(page.at("next").as_string());
  } while (!cursor.empty());
  CHECK(seen == 1'000);
  CHECK(ids.size() == 1'000);
}

TEST_CASE_FIXTURE(Fixture, "explain says what a device should run, what it runs, and why") {
  rollout::Desired desired;
  desired.model = "reader";
  desired.version = "2.0";
  desired.because = {{"in_stage", "in stage 1 of r"}};
  engine.decision.models = {desired};
  sql({"test.models",
       "INSERT INTO device_models (device, model, running, version, state, waiting, since) VALUES (1, 'reader', '1.0', '2.0', 'waiting', 'battery', 0), "
       "(1, 'eye', '7', '7', 'committed', NULL, 0)"});
  sql({"test.model", "INSERT INTO models (name, created_at) VALUES ('unused', 0)"});
  auto const all = fetch("/api/v1/devices/cam-1/explain").json();
  CHECK(all.at("device") == "cam-1");
  REQUIRE(all.at("models").as_array().size() == 2);
  CHECK(boost::json::serialize(all.at("models").at(0)) ==
        R"({"device":"cam-1","model":"eye","wants":null,"has":"7","because":[{"code":"offline","text":"the device has never been heard"}]})");
  auto const one = fetch("/api/v1/devices/cam-1/explain?model=reader").json();
  CHECK(one.at("wants") == "2.0");
  CHECK(one.at("has") == "1.0");
  std::vector<std::string> codes;
  for (auto const& reason : one.at("because").as_array()) codes.emplace_back(reason.at("code").as_string());
  CHECK(codes == std::vector<std::string>{"offline", "in_stage", "device_waits", "device_waiting"});
  CHECK(fetch("/api/v1/devices/cam-1/explain?model=unused").json().at("because").at(1).at("code") == "no_rollout");
  CHECK(fetch("/api/v1/devices/cam-1/explain?model=typo").code() == "unknown_model");
  CHECK(fetch("/api/v1/devices/nobody/explain").status == 404);
}

TEST_CASE_FIXTURE(Fixture, "device tokens are listed without secrets and revoked") {
  auto const secret = join_token(R"({"id":"cam-7","labels":{"region":"eu"}})");
  auto const list = fetch("/api/v1/device-tokens");
  CHECK(list.body.find(secret) == std::string::npos);
  auto const token = list.json().at("items").at(0);
  CHECK(token.at("device") == "cam-7");
  CHECK(token.at("labels").at("region") == "eu");
  CHECK(token.at("used_at").is_null());
  CHECK(send({del, "/api/v1/device-tokens/" + std::string(token.at("id").as_string())}).status == 204);
  CHECK(enroll(secret, *crypto::make_request(*crypto::make_private_key(), "x"), "").code() == "join_token_revoked");
  CHECK(send({del, "/api/v1/device-tokens/none"}).status == 404);
  CHECK(fetch("/api/v1/device-tokens", "flt_viewer").status == 403);
}

}  // namespace
}  // namespace fleet::api
