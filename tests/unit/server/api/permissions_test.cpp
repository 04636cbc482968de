#include "tests/unit/server/api/api_fixture.hpp"

#include "server/access/roles.hpp"

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

TEST_CASE("each role has its permissions and no others") {
  struct Case {
    std::string_view role;
    std::vector<Permission> may;
  };
  using P = Permission;
  auto const cases = std::vector<Case>{
      {"viewer", {P::everyone, P::read}},
      {"operator", {P::everyone, P::read, P::operate}},
      {"publisher", {P::everyone, P::read, P::publish}},
      {"approver", {P::everyone, P::read, P::approve}},
      {"admin", {P::everyone, P::read, P::operate, P::publish, P::approve, P::administer}},
      {"", {P::everyone}},
      {"root", {P::everyone}},
  };
  for (auto const& [role, may] : cases) {
    for (auto const permission : {P::everyone, P::read, P::operate, P::publish, P::approve, P::administer, P::device}) {
      CAPTURE(role);
      CAPTURE(to_string(permission));
      CHECK(access::role_allows(role, permission) == (std::find(may.begin(), may.end(), permission) != may.end()));
    }
  }
}

TEST_CASE_FIXTURE(ApiFixture, "every route lets in the roles that have its permission, and no others") {
  for (auto const* table : {&system_routes(), &audit_routes(), &trust_routes(), &registry_routes(), &group_routes(), &rollout_routes(), &bundle_routes(), &support_routes(), &cost_routes(), &test::probe_routes()}) {
    for (auto const& route : *table) {
      if (route.listener == Listener::device || route.pattern == "/probe/block" || route.pattern == "/probe/long" || route.pattern == "/probe/open") continue;
      std::string target(route.pattern);
      for (auto const* name : {"{id}", "{m}", "{rest...}"}) {
        if (auto const at = target.find(name); at != std::string::npos) target.replace(at, std::string_view(name).size(), "x");
      }
      for (auto const& role : access::roles()) {
        CAPTURE(target);
        CAPTURE(role.name);
        auto const answer = send({route.method, target, "{", "flt_" + std::string(role.name)});
        bool const refused = answer.status == 403 && answer.code() == "not_permitted";
        CHECK(refused != access::role_allows(role.name, route.permission));
        CHECK(answer.status != 401);
      }
      auto const anonymous = send({route.method, target, "{", ""});
      CHECK((anonymous.status == 401) == (route.permission != Permission::everyone));
    }
  }
}

TEST_CASE_FIXTURE(ApiFixture, "a token that is none, wrong, expired or revoked opens nothing") {
  struct Case {
    std::string authorization, code;
  };
  sql({"test.revoke", "UPDATE tokens SET revoked_at = 1 WHERE name = 'viewer'"});
  auto const cases = std::vector<Case>{
      {"", "no_token"},
      {"Basic Zmx0", "no_token"},
      {"Bearer", "no_token"},
      {"Bearer ", "unknown_token"},
      {"Bearer flt_nobody", "unknown_token"},
      {"Bearer flt_admin ", "unknown_token"},
      {"Bear flt_admin", "no_token"},
      {"Bearer flt_viewer", "token_revoked"},
  };
  for (auto const& [authorization, code] : cases) {
    CAPTURE(authorization);
    auto const answer = send({get, "/api/v1/roles", {}, "", {{"Authorization", authorization}}});
    CHECK(answer.status == 401);
    CHECK(answer.code() == code);
    CHECK(answer.header("WWW-Authenticate") == "Bearer");
  }
  CHECK(send({get, "/api/v1/roles", {}, "", {{"Authorization", "bEARER flt_admin"}}}).status == 200);
  clock.advance(std::chrono::hours(24 * 30));
  CHECK(fetch("/api/v1/roles", "flt_admin").code() == "token_expired");
}

TEST_CASE_FIXTURE(ApiFixture, "a revoked token is refused at its next request") {
  CHECK(fetch("/api/v1/roles", "flt_viewer").status == 200);
  CHECK(send({del, "/api/v1/tokens/tok-viewer"}).status == 204);
  CHECK(fetch("/api/v1/roles", "flt_viewer").code() == "token_revoked");
  CHECK_MESSAGE(send({del, "/api/v1/tokens/tok-viewer"}).status == 204, "again is no error");
  CHECK(send({del, "/api/v1/tokens/none"}).status == 404);
}

TEST_CASE_FIXTURE(ApiFixture, "a token limited to one model does nothing to another") {
  add_token("one", "operator", "reader");
  CHECK(fetch("/probe/models/reader", "flt_one").status == 200);
  auto const other = fetch("/probe/models/eye", "flt_one");
  CHECK(other.status == 403);
  CHECK(other.code() == "out_of_scope");
  add_device("cam-1", crypto::sha256("1"));
  CHECK(fetch("/api/v1/devices/cam-1", "flt_one").status == 200);
  CHECK(submit("/api/v1/devices/cam-1:retire", "{}", "flt_one").code() == "out_of_scope");
  CHECK(submit("/api/v1/device-tokens", "{}", "flt_one").code() == "out_of_scope");
}

TEST_CASE_FIXTURE(ApiFixture, "a token limited to a selector sees and changes its devices only") {
  add_token("eu", "operator", {}, "region=eu");
  add_device("in", crypto::sha256("1"), R"({"region":"eu"})");
  add_device("out", crypto::sha256("2"), R"({"region":"us"})");
  CHECK(fetch("/api/v1/devices", "flt_eu").json().at("items").as_array().size() == 1);
  CHECK(fetch("/api/v1/devices/in", "flt_eu").status == 200);
  CHECK(fetch("/api/v1/devices/out", "flt_eu").code() == "out_of_scope");
  CHECK(submit("/api/v1/devices/out:revoke", R"({"reason":"x"})", "flt_eu").code() == "out_of_scope");
  CHECK(fetch("/api/v1/devices/out").text("state") == "active");
  CHECK(send({patch, "/api/v1/devices/in", R"({"labels":{"region":"us"}})", "flt_eu", {{"If-Match", "*"}}}).code() == "out_of_scope");
  CHECK(submit("/api/v1/device-tokens", "{}", "flt_eu").code() == "out_of_scope");
  CHECK(submit("/api/v1/device-tokens", R"({"labels":{"region":"eu"}})", "flt_eu").status == 201);
  auto const foreign = std::string(submit("/api/v1/device-tokens", "{}").json().at("items").at(0).at("id").as_string());
  CHECK(send({del, "/api/v1/device-tokens/" + foreign, {}, "flt_eu"}).code() == "out_of_scope");
}

TEST_CASE_FIXTURE(ApiFixture, "metrics are for loopback, or for a token") {
  auto const local = fetch("/metrics", "");
  CHECK(local.status == 200);
  CHECK(local.header("Content-Type").starts_with("text/plain; version=0.0.4"));
  CHECK(local.body.find("fleet_net_requests_total 0\n") != std::string::npos);
  CHECK(local.body.find("fleet_net_requests_refused_total 0\n") != std::string::npos);
  add_device("cam-1", crypto::sha256("1"));
  CHECK(fetch("/metrics", "").body.find("fleet_devices{state=\"active\"} 1\n") != std::string::npos);
  peer.loopback = false;
  CHECK(fetch("/metrics", "").status == 401);
  CHECK(fetch("/metrics", "flt_nobody").status == 401);
  CHECK(fetch("/metrics", "flt_viewer").status == 200);
}

}  // namespace
}  // namespace fleet::api
