#include "tests/unit/server/api/api_fixture.hpp"

#include <boost/json/serialize.hpp>

#include "server/events/audit.hpp"

#include <deque>

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

/// Keeps what is to run later until the test says so.
struct LaterNet final : net::Server {
  std::deque<std::function<void()>> later;
  [[nodiscard]] std::uint16_t port(std::size_t) const override { return 0; }
  void start() override {}
  void stop(Millis) override {}
  [[nodiscard]] net::ServerCounters counters() const override { return {}; }
  [[nodiscard]] bool egress_is_spent() const override { return false; }
  Result<void> replace_certificate(std::string const&, std::string const&) override { return {}; }
  void after(std::size_t, Millis, std::function<void()> job) override { later.push_back(std::move(job)); }
  [[nodiscard]] std::size_t threads() const override { return 1; }
  [[nodiscard]] std::size_t current_thread() const override { return 0; }
  void run_next() {
    REQUIRE_FALSE(later.empty());
    auto const job = std::move(later.front());
    later.pop_front();
    job();
  }
};

struct Fixture : ApiFixture {
  void emit(int count) {
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      for (int i = 0; i < count; ++i) FLEET_CHECK(events::emit(tx, clock.wall(), "rollout.promoted", "rollout/r", "system:judge", R"({"stage":2})"));
      return {};
    }));
  }
};

TEST_CASE_FIXTURE(Fixture, "a token tells what it is") {
  add_token("eu", "operator", "reader", "region=eu");
  auto const status = fetch("/api/v1/auth/status", "flt_eu").json();
  CHECK(status.at("name") == "eu");
  CHECK(status.at("role") == "operator");
  CHECK(status.at("model") == "reader");
  CHECK(status.at("selector") == "region=eu");
  CHECK(status.at("expires_at") == "2026-12-20T10:00:00Z");
  CHECK(fetch("/api/v1/auth/status").json().at("model").is_null());
}

TEST_CASE_FIXTURE(Fixture, "a token is made, works, is listed without its secret, and is revoked") {
  auto const made = submit("/api/v1/tokens", R"({"name":"ci","role":"publisher","model":"reader","expires_in":"1d"})");
  REQUIRE(made.status == 201);
  auto const secret = made.text("secret");
  CHECK(secret.starts_with("flt_"));
  CHECK(made.text("created_by") == "token:admin");
  CHECK(made.text("expires_at") == "2026-11-21T10:00:00Z");
  CHECK(fetch("/api/v1/roles", secret).status == 200);
  auto const list = fetch("/api/v1/tokens");
  CHECK(list.json().at("items").as_array().size() == 6);
  CHECK(list.body.find(secret) == std::string::npos);
  CHECK(list.body.find("hash") == std::string::npos);
  CHECK(submit("/api/v1/tokens", R"({"name":"ci","role":"viewer"})").code() == "token_exists");
  CHECK(send({del, "/api/v1/tokens/" + made.text("id")}).status == 204);
  CHECK(fetch("/api/v1/roles", secret).code() == "token_revoked");
  CHECK_MESSAGE(submit("/api/v1/tokens", R"({"name":"ci","role":"viewer"})").status == 201, "a revoked token's name is free again");
  CHECK(text({"test.audit", "SELECT group_concat(action) FROM audit WHERE subject = 'token/ci'"}) == "token.created,token.revoked,token.created");
}

TEST_CASE_FIXTURE(Fixture, "a wrong request for a token is refused and names every fault") {
  struct Case {
    std::string_view body, pointer;
  };
  constexpr auto kCases = std::to_array<Case>({
      {R"({"role":"viewer"})", "/name"},
      {R"({"name":"a"})", "/role"},
      {R"({"name":"a","role":"root"})", "/role"},
      {R"({"name":"a","role":"viewer","rule":1})", "/rule"},
      {R"({"name":"a","role":"viewer","expires_in":"0s"})", "/expires_in"},
      {R"({"name":"a","role":"viewer","expires_in":"soon"})", "/expires_in"},
      {R"({"name":"a","role":"admin","selector":"x=y"})", "/role"},
  });
  for (auto const& [body, pointer] : kCases) {
    CAPTURE(body);
    auto const answer = submit("/api/v1/tokens", std::string(body));
    CHECK(answer.status == 400);
    bool named = false;
    auto const problem = answer.json();
    for (auto const& fault : problem.at("errors").as_array()) named = named || fault.at("pointer").as_string() == pointer;
    CHECK_MESSAGE(named, answer.body);
  }
  CHECK(submit("/api/v1/tokens", R"({"name":"a b","role":"viewer"})").status == 400);
  CHECK(submit("/api/v1/tokens", R"({"name":"a","role":"viewer","selector":"=="})").code() == "bad_selector");
  CHECK(submit("/api/v1/tokens", "").status == 400);
}

TEST_CASE_FIXTURE(Fixture, "tokens are listed page by page") {
  std::size_t seen = 0;
  std::string cursor;
  do {
    auto const page = fetch("/api/v1/tokens?limit=2" + cursor).json();
    seen += page.at("items").as_array().size();
    cursor = page.at("next").is_null() ? "" : "&cursor=" + std::string(page.at("next").as_string());
  } while (!cursor.empty());
  CHECK(seen == 5);
}

TEST_CASE_FIXTURE(Fixture, "the roles are told") {
  auto const items = fetch("/api/v1/roles", "flt_viewer").json().at("items").as_array();
  REQUIRE(items.size() == 5);
  CHECK(boost::json::serialize(items[2]) == R"({"name":"publisher","permissions":["read","publish"]})");
}

TEST_CASE_FIXTURE(Fixture, "events are listed after an id, or from a cursor") {
  emit(5);
  auto const list = [&](std::string const& query) { return send({get, "/api/v1/events" + query, {}, "flt_viewer", {{"Accept", "application/json"}}}).json(); };
  auto const all = list("");
  REQUIRE(all.at("items").as_array().size() == 5);
  auto const& first = all.at("items").at(0);
  CHECK(first.at("id") == "1");
  CHECK(first.at("type") == "rollout.promoted");
  CHECK(first.at("actor") == "system:judge");
  CHECK(first.at("data").at("stage") == 2);
  CHECK(list("?after=3").at("items").as_array().size() == 2);
  auto const page = list("?limit=3");
  REQUIRE_FALSE(page.at("next").is_null());
  CHECK(list("?limit=3&cursor=" + std::string(page.at("next").as_string())).at("items").at(0).at("id") == "4");
}

TEST_CASE_FIXTURE(Fixture, "events are streamed after Last-Event-ID, and a new listener starts now") {
  emit(3);
  auto const fresh = fetch("/api/v1/events");
  CHECK(fresh.header("Content-Type") == "text/event-stream");
  CHECK(fresh.body == "retry: 1000\n\nid: 3\n\n");
  emit(1);
  auto const stream = send({get, "/api/v1/events", {}, "flt_viewer", {{"Last-Event-ID", "2"}}});
  CHECK(stream.body.starts_with("retry: 1000\n\nid: 3\nevent: rollout.promoted\ndata: {\"id\":\"3\","));
  CHECK(stream.body.find("\n\nid: 4\n") != std::string::npos);
  CHECK(send({get, "/api/v1/events", {}, "flt_viewer", {{"Last-Event-ID", "4"}}}).body == "retry: 1000\n\n");
}

TEST_CASE_FIXTURE(Fixture, "a stream with nothing to say waits for an event, and not for ever") {
  LaterNet net;
  services.net = &net;
  auto waiting = start({get, "/api/v1/events"});
  net.run_next();
  CHECK(waiting.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  emit(1);
  net.run_next();
  CHECK(std::get<std::string>(waiting.get().body).find("id: 1\nevent: rollout.promoted") != std::string::npos);
  auto idle = start({get, "/api/v1/events"});
  int ticks = 0;
  for (; !net.later.empty() && ticks < 1000; ++ticks) {
    clock.advance(Millis{100});
    net.run_next();
  }
  CHECK_MESSAGE(ticks == 250, "25 s, however coarse the timers are");
  CHECK(std::get<std::string>(idle.get().body) == "retry: 1000\n\nid: 1\n\n");
  auto ending = start({get, "/api/v1/events"});
  services.draining = true;
  net.run_next();
  CHECK(ending.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
  CHECK(net.later.empty());
  services.net = nullptr;
}

TEST_CASE_FIXTURE(Fixture, "the audit log is listed oldest first, each entry chained to the one before") {
  for (auto const* name : {"a", "b", "c"}) CHECK(submit("/api/v1/tokens", fmt::format(R"({{"name":"{}","role":"viewer"}})", name)).status == 201);
  auto const page = fetch("/api/v1/audit?limit=2").json();
  REQUIRE(page.at("items").as_array().size() == 2);
  auto const& first = page.at("items").at(0);
  CHECK(first.at("action") == "token.created");
  CHECK(first.at("subject") == "token/a");
  CHECK(first.at("actor") == "token:admin");
  CHECK(first.at("after").at("name") == "a");
  CHECK(page.at("items").at(1).at("prev") == first.at("hash"));
  auto const rest = fetch("/api/v1/audit?limit=2&cursor=" + std::string(page.at("next").as_string())).json();
  CHECK(rest.at("items").at(0).at("subject") == "token/c");
  CHECK(rest.at("next").is_null());
}

}  // namespace
}  // namespace fleet::api
