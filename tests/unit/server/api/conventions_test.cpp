#include "tests/unit/server/api/api_fixture.hpp"

#include "core/base/text.hpp"
#include "core/wire/device.hpp"

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

TEST_CASE_FIXTURE(ApiFixture, "an error is a problem with code, hint and request id") {
  auto const answer = fetch("/api/v1/devices/nobody");
  CHECK(answer.status == 404);
  CHECK(answer.header("Content-Type") == "application/problem+json");
  CHECK(answer.text("type") == "urn:fleet:problem:unknown_device");
  CHECK(answer.text("title") == "Not found");
  CHECK(answer.json().at("status").as_int64() == 404);
  CHECK(answer.text("detail").find("nobody") != std::string::npos);
  CHECK(answer.code() == "unknown_device");
  CHECK_FALSE(answer.text("hint").empty());
  CHECK(answer.text("request_id") == answer.header("Request-Id"));
  CHECK(answer.json().at("errors").as_array().empty());
}

TEST_CASE_FIXTURE(ApiFixture, "every answer has its own request id and is not stored") {
  auto const first = fetch("/healthz"), second = fetch("/healthz");
  CHECK(first.status == 200);
  CHECK(first.header("Cache-Control") == "no-store");
  CHECK_FALSE(first.header("Request-Id").empty());
  CHECK(first.header("Request-Id") != second.header("Request-Id"));
}

TEST_CASE_FIXTURE(ApiFixture, "an unknown path is 404, a known one with another method 405 with Allow") {
  CHECK(fetch("/api/v1/nothing").code() == "no_route");
  auto const answer = send({put, "/api/v1/devices"});
  CHECK(answer.status == 405);
  CHECK(answer.header("Allow") == "GET, HEAD");
  CHECK(answer.code() == "method_not_allowed");
  CHECK(answer.json().at("status").as_int64() == 405);
  CHECK(send({del, "/api/v1/tokens"}).header("Allow") == "GET, HEAD, POST");
  CHECK(send({get, "/api/v1/devices/cam:approve"}).header("Allow") == "POST");
  CHECK(send({put, "/api/v1/models/reader:sign"}).header("Allow") == "POST");
  CHECK(send({head, "/healthz"}).status == 200);
  CHECK(send({get, "/device/v1/probe"}).status == 404);
}

TEST_CASE_FIXTURE(ApiFixture, "the body's limit is the route's; reads take none") {
  CHECK(api.body_limit(get, "/api/v1/devices") == 0);
  CHECK(api.body_limit(post, "/api/v1/tokens") == 64 * 1024);
  CHECK(api.body_limit(post, "/nowhere") == 64 * 1024);
  CHECK(api.body_limit(get, "/api/v1/rollouts:plan") == 64 * 1024);  // 405, not 413
  CHECK(devices.body_limit(post, "/device/v1/enroll") == wire::kEnrollBytesMax);
}

TEST_CASE_FIXTURE(ApiFixture, "a handler that throws is a 500 with a request id, and the server lives on") {
  for (auto const method : {get, put, del}) {
    auto const answer = send({method, "/probe/throw"});
    CHECK(answer.status == 500);
    CHECK(answer.code() == "internal");
  }
  CHECK(fetch("/healthz").status == 200);
}

TEST_CASE_FIXTURE(ApiFixture, "an object carries an ETag; If-None-Match spares it as long as its content stands") {
  auto const answer = fetch("/probe/object");
  auto const etag = answer.header("ETag");
  CHECK(etag.starts_with("\"7."));
  auto const with = [&](std::string const& target, std::string const& tag) { return send({get, target, {}, "flt_admin", {{"If-None-Match", tag}}}); };
  auto const same = with("/probe/object", etag);
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.header("ETag") == etag);
  CHECK(with("/probe/object", "\"x\", W/" + etag).status == 304);
  CHECK(with("/probe/object", "*").status == 304);
  CHECK(with("/probe/object", "\"6.0\"").status == 200);
  CHECK_MESSAGE(with("/probe/object?n=1", etag).status == 200, "the revision is the same, the content is not");
}

TEST_CASE_FIXTURE(ApiFixture, "If-Match is demanded on PUT and honoured elsewhere") {
  auto const etag = fetch("/probe/object").header("ETag");
  auto const status = [&](net::Method method, std::string const& tag) {
    net::Headers headers;
    if (!tag.empty()) headers.push_back({"If-Match", tag});
    return send({method, "/probe/object", {}, "flt_admin", headers}).status;
  };
  CHECK(status(put, "") == 428);
  CHECK(status(put, etag) == 200);
  CHECK(status(put, "\"7\"") == 200);
  CHECK(status(put, "*") == 200);
  CHECK(status(put, "\"6\", \"7\"") == 200);
  CHECK(status(put, "\"6\"") == 412);
  CHECK(status(put, "\"70\"") == 412);
  CHECK(status(put, "7") == 412);
  CHECK(status(post, "") == 200);
  CHECK(status(post, "\"6\"") == 412);
  CHECK(status(get, etag) == 200);
  CHECK(status(get, "*") == 200);
  CHECK(status(get, "\"6.0\"") == 412);
}

TEST_CASE_FIXTURE(ApiFixture, "whatever bytes were asked for, a problem is valid UTF-8") {
  for (std::string const character : {"ü", "模", "😀", "\xff", "\xc3"}) {
    for (std::size_t count : {1U, 40U, 100U, 250U}) {
      for (std::size_t lead = 0; lead < 4; ++lead) {
        std::string name(lead, 'a');
        for (std::size_t i = 0; i < count; ++i) name += character;
        CAPTURE(name);
        auto const quoted = net::percent_encode(name);
        for (auto const* const path :
             {"/api/v1/devices/", "/api/v1/models/", "/api/v1/rollouts/", "/api/v1/uploads/", "/blobs/sha256/",
              "/api/v1/devices?state=", "/api/v1/devices?running=", "/api/v1/devices?cursor=", "/api/v1/devices?dataset=", "/api/v1/nothing/"}) {
          auto const answer = fetch(path + quoted);
          CHECK(answer.status >= 400);
          CHECK(valid_text(answer.body) == answer.body);
        }
      }
    }
  }
}

TEST_CASE_FIXTURE(ApiFixture, "a list is walked by its cursor and its Link from end to end") {
  for (auto const* limit : {"1", "7", "100", "500"}) {
    CAPTURE(limit);
    std::vector<std::int64_t> seen;
    auto target = fmt::format("/probe/numbers?limit={}&x=a%20b", limit);
    while (true) {
      auto const answer = fetch(target);
      REQUIRE(answer.status == 200);
      auto const page = answer.json();
      for (auto const& item : page.at("items").as_array()) seen.push_back(item.as_int64());
      if (page.at("next").is_null()) {
        CHECK(answer.header("Link").empty());
        break;
      }
      auto const link = answer.header("Link");
      REQUIRE(link.ends_with(">; rel=\"next\""));
      target = link.substr(1, link.find('>') - 1);
      CHECK(target.find("x=a%20b") != std::string::npos);
      CHECK(target.find(std::string_view(page.at("next").as_string())) != std::string::npos);
    }
    REQUIRE(seen.size() == 1'000);
    for (std::size_t i = 0; i < seen.size(); ++i) REQUIRE(seen[i] == static_cast<std::int64_t>(i));
  }
}

TEST_CASE_FIXTURE(ApiFixture, "wrong parameters are refused by name") {
  struct Case {
    std::string_view target, code;
  };
  constexpr auto kCases = std::to_array<Case>({
      {"/api/v1/devices?limit=0", "bad_limit"},
      {"/api/v1/devices?limit=501", "bad_limit"},
      {"/api/v1/devices?limit=ten", "bad_limit"},
      {"/api/v1/devices?cursor=%21", "bad_cursor"},
      {"/api/v1/devices?cursor=eHg", "bad_cursor"},
      {"/api/v1/devices?sate=active", "unknown_parameter"},
      {"/api/v1/devices?state=asleep", "bad_parameter"},
      {"/api/v1/devices?state=", "empty_parameter"},
      {"/api/v1/devices?running", "empty_parameter"},
      {"/api/v1/rollouts?model=", "empty_parameter"},
      {"/api/v1/devices?online=maybe", "bad_parameter"},
      {"/api/v1/devices?selector=a%3D", "bad_selector"},
      {"/api/v1/devices?running=reader", "bad_selector"},
      {"/api/v1/audit?cursor=eHg", "bad_cursor"},
      {"/api/v1/audit?cursor=LTE", "bad_cursor"},
      {"/api/v1/audit/checkpoints?cursor=MXg", "bad_cursor"},
      {"/api/v1/rollouts?cursor=eHg", "bad_cursor"},
      {"/api/v1/events?after=x", "bad_parameter"},
      {"/api/v1/device-tokens?cursor=_w", "bad_cursor"},
      {"/api/v1/device-tokens?cursor=AA", "bad_cursor"},
      {"/api/v1/rollouts?model=%ff", "bad_parameter"},
      {"/api/v1/models/%c3%28", "bad_parameter"},
  });
  for (auto const& [target, code] : kCases) {
    CAPTURE(target);
    auto const answer = fetch(std::string(target));
    CHECK(answer.status == 400);
    CHECK(answer.code() == code);
  }
  CHECK(send({get, "/api/v1/events?cursor=eHg", {}, "flt_admin", {{"Accept", "application/json"}}}).code() == "bad_cursor");
  CHECK(fetch("/api/v1/devices?selector=").status == 200);
  CHECK(fetch("/api/v1/devices?last_seen_before=yesterday").status == 400);
  CHECK(fetch("/api/v1/devices?selector=%zz").status == 400);
}

TEST_CASE_FIXTURE(ApiFixture, "while the server ends, health answers and the rest is 503 with Retry-After") {
  services.draining = true;
  CHECK(fetch("/healthz").status == 200);
  CHECK(fetch("/metrics").status == 200);
  CHECK(fetch("/readyz").status == 503);
  auto const answer = fetch("/api/v1/devices");
  CHECK(answer.status == 503);
  CHECK(answer.code() == "draining");
  CHECK_FALSE(answer.header("Retry-After").empty());
}

TEST_CASE_FIXTURE(ApiFixture, "what one token asks for beyond its share is 429 with Retry-After, nothing is lost, and another token has its answers meanwhile") {
  std::vector<std::future<net::Response>> waiting;
  int refused = 0;
  for (int i = 0; i < 80; ++i) {
    waiting.push_back(start({get, "/probe/block"}));
    if (waiting.back().wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
    auto const response = waiting.back().get();
    CHECK(response.status == 429);
    CHECK(std::get<std::string>(response.body).find("too_many_requests") != std::string::npos);
    CHECK_FALSE(net::find_header(response.headers, "Retry-After").empty());
    waiting.pop_back();
    ++refused;
  }
  CHECK(refused > 0);
  CHECK(waiting.size() >= 16);
  CHECK(fetch("/api/v1/devices", "flt_operator").status == 200);
  CHECK(fetch("/probe/open").status == 200);
  for (auto& one : waiting) CHECK(one.get().status == 200);
}

}  // namespace
}  // namespace fleet::api
