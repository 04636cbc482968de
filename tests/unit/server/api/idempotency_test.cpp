#include "tests/unit/server/api/api_fixture.hpp"

namespace fleet::api {
namespace {

using test::ApiFixture;
using test::Probe;

net::Headers key(std::string const& value) { return {{"Idempotency-Key", value}}; }

TEST_CASE_FIXTURE(ApiFixture, "a repeated key is carried out once and answered again, without the secret") {
  auto const first = submit("/probe/write", "a", "flt_operator", key("k1"));
  CHECK(first.status == 201);
  CHECK(first.body == R"({"run":1,"secret":"s"})");
  CHECK(first.header("Idempotency-Replayed").empty());
  auto const again = submit("/probe/write", "a", "flt_operator", key("k1"));
  CHECK(again.status == 201);
  CHECK(again.body == R"({"run":1})");
  CHECK(again.header("Idempotency-Replayed") == "true");
  CHECK(again.header("X-Probe") == "yes");
  CHECK(again.header("Request-Id") != first.header("Request-Id"));
  CHECK(Probe::runs == 1);
}

TEST_CASE_FIXTURE(ApiFixture, "work is carried out once too") {
  CHECK(submit("/probe/work", "a", "flt_operator", key("k1")).body == R"({"run":1})");
  auto const again = submit("/probe/work", "a", "flt_operator", key("k1"));
  CHECK(again.body == R"({"run":1})");
  CHECK(again.header("Idempotency-Replayed") == "true");
  CHECK(submit("/probe/work", "b", "flt_operator", key("k1")).code() == "idempotency_key_reused");
  CHECK(submit("/probe/work", "a", "flt_operator", key("k2")).body == R"({"run":2})");
}

TEST_CASE_FIXTURE(ApiFixture, "the same key with another request is a conflict") {
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).status == 201);
  auto const clash = submit("/probe/write", "b", "flt_operator", key("k1"));
  CHECK(clash.status == 409);
  CHECK(clash.code() == "idempotency_key_reused");
  CHECK(submit("/probe/write?x=1", "a", "flt_operator", key("k1")).status == 409);
  CHECK(submit("/probe/work", "a", "flt_operator", key("k1")).status == 409);
  CHECK(Probe::runs == 1);
}

TEST_CASE_FIXTURE(ApiFixture, "a key is its caller's own") {
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).status == 201);
  CHECK(submit("/probe/write", "b", "flt_admin", key("k1")).status == 201);
  CHECK(Probe::runs == 2);
}

TEST_CASE_FIXTURE(ApiFixture, "a failure keeps nothing: the same request is judged anew") {
  CHECK(submit("/probe/write", "fail", "flt_operator", key("k1")).code() == "as_asked");
  CHECK_MESSAGE(text({"test.probe", "SELECT count(*) FROM settings WHERE name = 'probe'"}) == "0", "what a failed request wrote is gone");
  CHECK(submit("/probe/write", "fail", "flt_operator", key("k1")).code() == "as_asked");
  CHECK(Probe::runs == 2);
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).status == 201);
}

TEST_CASE_FIXTURE(ApiFixture, "a key is forgotten after 24 hours") {
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).status == 201);
  clock.advance(std::chrono::hours(24) - Millis{1});
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).header("Idempotency-Replayed") == "true");
  clock.advance(Millis{1});
  CHECK(submit("/probe/write", "b", "flt_operator", key("k1")).status == 201);
  CHECK(Probe::runs == 2);
  CHECK(text({"test.kept", "SELECT count(*) FROM idempotency"}) == "1");
}

TEST_CASE_FIXTURE(ApiFixture, "only what changes something is kept: who may only read leaves nothing behind, nor does a verb that holds already") {
  CHECK(submit("/api/v1/rollouts:plan", "{}", "flt_viewer", key("k1")).status == 400);
  CHECK(submit("/probe/read", "a", "flt_viewer", key("k1")).status == 200);
  CHECK(submit("/probe/read", "a", "flt_admin", key("k1")).header("Idempotency-Replayed").empty());
  CHECK(submit("/probe/object", "a", "flt_operator", key("k1")).status == 200);  // changes nothing
  CHECK(text({"test.kept", "SELECT count(*) FROM idempotency"}) == "0");
  CHECK(submit("/probe/write", "a", "flt_operator", key("k1")).status == 201);
  CHECK(text({"test.kept", "SELECT count(*) FROM idempotency"}) == "1");
}

TEST_CASE_FIXTURE(ApiFixture, "many requests with one key at once are carried out once") {
  for (auto const* target : {"/probe/write", "/probe/work"}) {
    CAPTURE(target);
    Probe::runs = 0;
    std::vector<std::future<net::Response>> waiting;
    for (int i = 0; i < 20; ++i) waiting.push_back(start({net::Method::post, target, "a", "flt_operator", key(target)}));
    for (auto& one : waiting) {
      auto const status = one.get().status;
      CHECK((status == 200 || status == 201 || status == 409));
    }
    CHECK(Probe::runs == 1);
  }
}

TEST_CASE_FIXTURE(ApiFixture, "a key that is none is refused") {
  CHECK(submit("/probe/write", "a", "flt_operator", key(std::string(256, 'k'))).code() == "bad_idempotency_key");
  CHECK(submit("/probe/write", "a", "flt_operator", key("a b")).code() == "bad_idempotency_key");
  CHECK(submit("/probe/write", "a", "flt_operator", key("")).code() == "bad_idempotency_key");
  CHECK(Probe::runs == 0);
}

TEST_CASE_FIXTURE(ApiFixture, "a replay of a new token does not show its secret again, and the secret is nowhere in the database") {
  auto const body = R"({"name":"ci","role":"publisher"})";
  auto const made = submit("/api/v1/tokens", body, "flt_admin", key("k"));
  REQUIRE(made.status == 201);
  auto const secret = made.text("secret");
  auto const again = submit("/api/v1/tokens", body, "flt_admin", key("k"));
  CHECK(again.status == 201);
  CHECK(again.text("id") == made.text("id"));
  CHECK(again.body.find(secret) == std::string::npos);
  CHECK(text({"test.kept", "SELECT count(*) FROM idempotency WHERE instr(body, ?1) > 0"}, secret) == "0");
  auto const tokens = submit("/api/v1/device-tokens", R"({"count":3})", "flt_admin", key("k2"));
  REQUIRE(tokens.status == 201);
  CHECK(tokens.json().at("items").as_array().size() == 3);
  auto const replayed = submit("/api/v1/device-tokens", R"({"count":3})", "flt_admin", key("k2")).json();
  CHECK(replayed.at("items").as_array().size() == 3);
  CHECK_FALSE(replayed.at("items").at(0).as_object().contains("secret"));
}

}  // namespace
}  // namespace fleet::api
