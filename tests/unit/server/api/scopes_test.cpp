#include "core/wire/release.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/access/roles.hpp"
#include "server/blobs/store/paths.hpp"
#include "server/access/tokens.hpp"
#include "server/signing/key_ring.hpp"
#include "server/signing/repository.hpp"
#include "server/rollout/shell/engine.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

#include <set>

namespace fleet::api {
namespace {

using namespace fleet::test;
using enum net::Method;
using P = Permission;

std::vector<std::vector<Route> const*> const& all_tables() {
  static std::vector<std::vector<Route> const*> const tables{&system_routes(),  &audit_routes(),   &trust_routes(),    &simulation_routes(), &registry_routes(), &group_routes(),
                                                             &catalog_routes(), &rollout_routes(), &delivery_routes(), &bundle_routes(), &support_routes(), &telemetry_routes(), &cost_routes(), &node_routes()};
  return tables;
}

/// Two models, two devices in two regions, rollouts of each; tokens of every role without limits, limited to the model `mine`, and to `region=eu`.
struct TwoSites : StoreFixture {
  std::unique_ptr<fleet::blobs::BlobStore> blob_store = fleet::blobs::in_folder(system_fs(), dir.path(), false);
  signing::KeyRing keys{system_fs(), system_random(), dir.path() + "/keys"};
  std::unique_ptr<rollout::Engine> engine;
  std::unique_ptr<ApiHandler> api;
  net::Peer peer{"127.0.0.1:1", false, false, {}, {}, {}, {}};
  std::map<std::string, std::string> blobs;  ///< model -> digest of its file

  TwoSites() {
    services.keys = &keys;
    services.blobs = blob_store.get();
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      FLEET_CHECK(tx.connection().script("DELETE FROM metadata"));
      return signing::create_repositories(tx, keys, kStart);
    }));
    engine = *rollout::Engine::create(services);
    services.rollouts = engine.get();
    api = std::make_unique<ApiHandler>(services, Listener::api, all_tables());
    for (auto const& role : access::roles()) {
      add_token(role.name, "", {}, {});
      if (role.name == "admin") continue;
      add_token(role.name, "-m", "mine", {});
      add_token(role.name, "-s", {}, "region=eu");
    }
    for (auto const* const model : {"mine", "rival"}) add_release(model);
    for (auto const& [id, region] : {std::pair{"in", "eu"}, std::pair{"yonder", "us"}})
      sql({"test.device", "INSERT INTO devices (id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?1, 'cam-a', 'active', ?2, ?3, ?4, 0)"},
          id, fmt::format(R"({{"region":"{}"}})", region), crypto::sha256(id), to_unix_ms(kStart + std::chrono::hours(24)));
    for (auto const& [id, model, selector] : {std::tuple{"r_eu", "mine", "region=eu,site=1"}, std::tuple{"r_us", "mine", "region=us"},
                                              std::tuple{"r_all", "mine", ""}, std::tuple{"r_rival", "rival", "region=eu"}})
      add_rollout(id, model, selector);
    add_groups();
  }

  /// A group within region eu, and one whose list has devices of both.
  void add_groups() {
    REQUIRE(send(post, "/api/v1/groups", R"({"name":"eu","selector":"region=eu,x=1"})", "admin").status == 201);
    REQUIRE(send(post, "/api/v1/groups", R"({"name":"rivals","selector":"running=rival@1"})", "admin").status == 201);
    REQUIRE(send(post, "/api/v1/groups", R"({"name":"listed","devices":["in","yonder","to-come"]})", "admin").status == 201);
  }
  void add_token(std::string_view role, std::string const& suffix, std::optional<std::string> const& model, std::optional<std::string> const& selector) {
    auto const name = std::string(role) + suffix;
    sql({"test.token", "INSERT INTO tokens (id, name, role, model, selector, hash, created_by, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'test', 0)"},
        "tok-" + name, name, role, model, selector, crypto::sha256("flt_" + name));
  }
  void add_release(std::string const& model) {
    blobs[model] = crypto::sha256("file of " + model).hex();
    wire::Release release;
    release.model = model;
    release.version = "1";
    release.release_counter = 1;
    release.variants.push_back({{"cam-a"}, {{"model.bin", 5, *Digest::parse(blobs[model]), false}}});
    auto const document = wire::encode(release);
    REQUIRE(send(put, "/api/v1/models/" + model, "{}", "admin").status == 201);
    sql({"test.blob", "INSERT INTO blobs (sha256, size, created_at) VALUES (?1, 5, 0)"}, *Digest::parse(blobs[model]));
    auto const path = fleet::blobs::blob_path(dir.path(), *Digest::parse(blobs[model]));
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    REQUIRE(system_fs().replace(path, "bytes"));
    sql({"test.release",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES (?1, '1', ?2, ?3, x'00', 'draft', 'x', 0)"},
        model, crypto::sha256(document), document);
    sql({"test.files", "INSERT INTO release_files (sha256, release, variant) SELECT ?1, n, 0 FROM releases WHERE model = ?2"}, *Digest::parse(blobs[model]), model);
  }
  /// What those without limits may know: of the model `rival`, and of the device `yonder` in region us.
  void add_secrets() {
    sql({"test.parents", "INSERT INTO release_parents (release, parent, relation) SELECT c.n, p.n, 'finetune' FROM releases c, releases p WHERE c.model <> p.model"});
    for (auto const* const device : {"in", "yonder"}) {
      for (auto const* const model : {"mine", "rival"}) {
        auto const error = fmt::format(R"({{"code":"golden_failed","text":"{} on {}","output":""}})", model, device);
        sql({"test.running",
             "INSERT INTO device_models (device, model, running, version, state, rollout, since, error) SELECT n, ?2, '1', '1', 'failed', 'r_' || ?2, 1, ?3 "
             "FROM devices WHERE id = ?1"},
            device, model, error);
        sql({"test.latest", "INSERT INTO device_latest (device, at, metrics, flagged, skew, told_off, told) SELECT n, 1, '[[\"m\",\"mine\",\"1\",\"g\",1,1,1,\"stuck\",1,\"\",0],"
                            "[\"n\",\"rival\",\"1\",\"g\",1,1,1,\"stuck\",1,\"\",0]]', 1, 0, 0, 0 FROM devices WHERE id = ?1 ON CONFLICT DO NOTHING"},
            device);
        sql({"test.history",
             "INSERT INTO device_history (device, time, received, model, version, state, attempt, error) SELECT n, 1, 1, ?2, '1', 'failed', 1, ?3 FROM devices "
             "WHERE id = ?1"},
            device, model, error);
        sql({"test.event", "INSERT INTO events (time, type, subject, actor, data) VALUES (0, 'device.update_failed', ?1, ?1, ?2)"}, std::string("device/") + device,
            fmt::format(R"({{"model":"{}","device":"{}"}})", model, device));
      }
    }
    sql({"test.start", "UPDATE rollouts SET state = 'running', stage = 1, started_at = 1, moment = 1 WHERE id = 'r_us'"});
    sql({"test.role",
         "INSERT INTO bound_roles (name, role, model, selector, issuer, issuer_ca, audience, repository_claim, repository, ref, expires_in_ms, created_by, "
         "created_at) VALUES ('rival-ci', 'publisher', 'rival', 'region=us', 'https://i', 'x', 'a', 'repository', 'rival/yonder', 'main', 1000, 'x', 0)"});
    sql({"test.series", "INSERT INTO metric_series (n, metric, model, version, hardware, labels, kept_by, seen) VALUES (1, 'accuracy', 'rival', '1', 'cam-a', '{}', '', 0)"});
    sql({"test.sample",
         "INSERT INTO metric_intervals (series, start, count, sum, min, max, sketch) VALUES (1, ?1, 1, 1, 1, 1, '{}')"},
        to_unix_ms(kStart) - 600'000);
    sql({"test.metric", "INSERT INTO metric_names (model, metric, kind, seen) VALUES ('rival', 'rival_accuracy', 'd', 0), ('mine', 'yonder_accuracy', 'd', 0)"});
    REQUIRE(send(post, "/api/v1/device-tokens", R"({"id":"yonder-2","labels":{"for":"rival"}})", "operator").status == 201);
  }
  void add_rollout(std::string const& id, std::string const& model, std::string const& selector) {
    sql({"test.rollout",
         "INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, created_by, created_at) SELECT ?1, ?2, n, '1', ?3, ?4, 's', "
         "'draft', 'x', 0 FROM releases WHERE model = ?2"},
        id, model, selector, R"({"stages":[{"percent":100}]})");
    rollout::Places places{{"cam-a", {1, 2}}};
    auto const ladder = rollout::make_ladder({{.size = {.percent = 100, .devices = {}}}}, 0, places);
    sql({"test.ladder", "INSERT INTO rollout_ladders (rollout, ladder) SELECT n, ?1 FROM rollouts WHERE id = ?2"}, rollout::encode(ladder), id);
  }
  void add_event(std::string const& subject) {
    sql({"test.event", "INSERT INTO events (time, type, subject, actor, data) VALUES (0, 'x', ?1, 'x', '{}')"}, subject);
  }

  Answer send(net::Method method, std::string const& target, std::string const& body, std::string const& token) {
    net::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    request.headers = {{"Authorization", "Bearer flt_" + token}, {"If-Match", "*"}, {"Accept", "application/json"}};
    request.peer = &peer;
    auto const sink = std::make_shared<CatchingSink>();
    auto future = sink->promise.get_future();
    api->handle(std::move(request), net::Responder(sink));
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    auto response = future.get();
    Answer out{response.status, std::move(response.headers), {}};
    if (auto* text = std::get_if<std::string>(&response.body)) out.body = std::move(*text);
    return out;
  }
  /// The code of a refusal by role or limits; empty for whatever else comes.
  std::string refusal(net::Method method, std::string const& target, std::string const& body, std::string const& token) {
    auto const answer = send(method, target, body, token);
    CHECK(answer.status != 401);
    return answer.status == 403 ? answer.code() : std::string();
  }
  std::set<std::string> listed(std::string const& target, std::string const& token, std::string_view member) {
    std::set<std::string> out;
    auto const answer = send(get, target, {}, token);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    auto const list = answer.json();
    for (auto const& item : list.at("items").as_array()) out.emplace(item.at(member).as_string());
    return out;
  }
};

/// What a request names: its own things, those of another model, those of other devices; empty where it can name none.
struct Case {
  net::Method method;
  std::string pattern;  ///< as in the tables of routes
  P permission;
  std::string own, model_foreign = {}, selector_foreign = {};  ///< targets
  std::string body = {}, model_foreign_body = {}, selector_foreign_body = {};
  bool closed_to_model = false;     ///< it changes devices as a whole: not for tokens of one model, whatever it names
  bool closed_to_selector = false;  ///< it changes releases, which are of all devices
};

std::string rollout_body(std::string_view model, std::string_view selector, std::string_view more = "") {
  return fmt::format(R"({{"model":"{}","version":"1","selector":"{}","policy":"standard"{}}})", model, selector, more);
}

/// A policy that names metrics and labels that nobody has, so that its findings tell what is there.
std::string lint_body(std::string_view model, std::string_view selector) {
  return fmt::format(R"({{"policy":{{"stages":[{{"percent":100}}],"strata":["site"],"gates":{{"absolute":[{{"metric":"x","max":1}}]}}}},"model":"{}","version":"1","selector":"{}"}})",
                     model, selector);
}

std::vector<Case> cases() {
  std::string const r = R"({"reason":"x"})";
  std::vector<Case> out{
      {get, "/api/v1/auth/status", P::read, "/api/v1/auth/status"},
      {get, "/api/v1/tokens", P::administer, "/api/v1/tokens"},
      {post, "/api/v1/tokens", P::administer, "/api/v1/tokens", "", "", "{}"},
      {del, "/api/v1/tokens/{id}", P::administer, "/api/v1/tokens/none"},
      {get, "/api/v1/roles", P::read, "/api/v1/roles"},
      {post, "/api/v1/roles", P::administer, "/api/v1/roles", "", "", "{}"},
      {get, "/api/v1/roles/{id}", P::read, "/api/v1/roles/none"},
      {del, "/api/v1/roles/{id}", P::administer, "/api/v1/roles/none"},
      {get, "/api/v1/events", P::read, "/api/v1/events?after=0"},
      {get, "/api/v1/audit", P::administer, "/api/v1/audit"},
      {get, "/api/v1/restored", P::administer, "/api/v1/restored"},
      {get, "/api/v1/audit/checkpoints", P::administer, "/api/v1/audit/checkpoints"},
      {get, "/api/v1/trust", P::read, "/api/v1/trust"},
      {post, "/api/v1/trust:rotate", P::administer, "/api/v1/trust:rotate", "", "", "{}"},
      {post, "/api/v1/trust:prepare", P::administer, "/api/v1/trust:prepare", "", "", "{}"},
      {post, "/api/v1/trust:import", P::administer, "/api/v1/trust:import", "", "", "{}"},
      {get, "/api/v1/audit/key", P::read, "/api/v1/audit/key"},
      {post, "/api/v1/audit:checkpoint", P::administer, "/api/v1/audit:checkpoint"},
      {get, "/api/v1/devices", P::read, "/api/v1/devices"},
      {get, "/api/v1/devices", P::read, "/api/v1/devices?running=mine@1", "/api/v1/devices?running=rival@1"},
      {get, "/api/v1/devices", P::read, "/api/v1/devices?descends_from=mine@1", "/api/v1/devices?descends_from=rival@1"},
      {get, "/api/v1/devices", P::read, "/api/v1/devices?selector=running%3Dmine@1", "/api/v1/devices?selector=running%21%3Drival@1"},
      {get, "/api/v1/devices", P::read, "/api/v1/devices?selector=running%20in%20(mine@1)", "/api/v1/devices?selector=running"},
      {get, "/api/v1/devices/{id}", P::read, "/api/v1/devices/in", "", "/api/v1/devices/none"},
      {get, "/api/v1/devices/{id}", P::read, "/api/v1/devices/in", "", "/api/v1/devices/yonder"},
      {get, "/api/v1/devices/{id}/explain", P::read, "/api/v1/devices/in/explain?model=mine", "/api/v1/devices/in/explain?model=rival",
       "/api/v1/devices/yonder/explain"},
      {get, "/api/v1/devices/{id}/history", P::read, "/api/v1/devices/in/history", "", "/api/v1/devices/yonder/history"},
      {get, "/api/v1/devices/{id}/telemetry", P::read, "/api/v1/devices/in/telemetry", "", "/api/v1/devices/yonder/telemetry"},
      {post, "/api/v1/devices/{id}:collect", P::operate, "/api/v1/devices/in:collect", "/api/v1/devices/in:collect", "/api/v1/devices/yonder:collect", "{}", "{}", "{}", true},
      {get, "/api/v1/devices/{id}/support", P::operate, "/api/v1/devices/in/support", "/api/v1/devices/in/support", "/api/v1/devices/yonder/support", "", "", "", true},
      {get, "/api/v1/devices/{id}/support/content", P::operate, "/api/v1/devices/in/support/content", "/api/v1/devices/in/support/content",
       "/api/v1/devices/yonder/support/content", "", "", "", true},
      {get, "/api/v1/bundles", P::operate, "/api/v1/bundles", "/api/v1/bundles", "/api/v1/bundles", "", "", "", true, true},
      {post, "/api/v1/bundles", P::operate, "/api/v1/bundles", "/api/v1/bundles", "/api/v1/bundles", R"({"model":"mine","version":"1","selector":"region=eu"})",
       R"({"model":"rival","version":"1","selector":"region=eu"})", R"({"model":"mine","version":"1","selector":""})"},
      {get, "/api/v1/bundles/{id}", P::operate, "/api/v1/bundles/none", "/api/v1/bundles/none", "/api/v1/bundles/none", "", "", "", true, true},
      {get, "/api/v1/bundles/{id}/routes", P::operate, "/api/v1/bundles/none/routes?release=" + std::string(64, 'a'), "/api/v1/bundles/none/routes?release=" + std::string(64, 'a'), "/api/v1/bundles/none/routes?release=" + std::string(64, 'a'), "", "", "", true, true},
      {get, "/api/v1/bundles/{id}/directives", P::operate, "/api/v1/bundles/none/directives", "/api/v1/bundles/none/directives", "/api/v1/bundles/none/directives", "", "", "", true, true},
      {post, "/api/v1/receipts", P::operate, "/api/v1/receipts", "/api/v1/receipts", "/api/v1/receipts", R"({"device":"in"})", R"({"device":"in"})",
       R"({"device":"yonder"})", true},
      {get, "/api/v1/device-tokens", P::operate, "/api/v1/device-tokens"},
      {post, "/api/v1/device-tokens", P::operate, "/api/v1/device-tokens", "/api/v1/device-tokens", "/api/v1/device-tokens", R"({"labels":{"region":"eu"}})",
       "{}", "{}", true},
      {del, "/api/v1/device-tokens/{id}", P::operate, "/api/v1/device-tokens/none", "/api/v1/device-tokens/none", "/api/v1/device-tokens/none", "", "", "", true,
       true},
      {get, "/api/v1/groups", P::read, "/api/v1/groups"},
      {post, "/api/v1/groups", P::operate, "/api/v1/groups", "", "", R"({"name":"eu2","selector":"region=eu"})", "", "", true, true},
      {get, "/api/v1/groups/{name}", P::read, "/api/v1/groups/eu", "/api/v1/groups/rivals", "/api/v1/groups/listed"},
      {get, "/api/v1/groups/{name}", P::read, "/api/v1/groups/eu", "", "/api/v1/groups/none"},
      {get, "/api/v1/groups/{name}/devices", P::read, "/api/v1/groups/eu/devices", "", "/api/v1/groups/listed/devices"},
      {put, "/api/v1/groups/{name}", P::operate, "/api/v1/groups/eu", "", "", R"({"selector":"region=eu"})", "", "", true, true},
      {del, "/api/v1/groups/{name}", P::operate, "/api/v1/groups/none", "", "", "", "", "", true, true},
      {get, "/api/v1/models", P::read, "/api/v1/models"},
      {get, "/api/v1/models/{m}", P::read, "/api/v1/models/mine", "/api/v1/models/rival"},
      {put, "/api/v1/models/{m}", P::administer, "/api/v1/models/mine", "", "", "{}"},
      {post, "/api/v1/models/{m}:countersign", P::approve, "/api/v1/models/mine:countersign", "/api/v1/models/rival:countersign", "", "{}", "{}", "", false, true},
      {post, "/api/v1/models/{m}:prepare", P::read, "/api/v1/models/mine:prepare", "/api/v1/models/rival:prepare", "", "{}", "{}"},
      {post, "/api/v1/models/{m}:sign", P::publish, "/api/v1/models/mine:sign", "/api/v1/models/rival:sign", "", "{}", "{}", "", false, true},
      {post, "/api/v1/uploads", P::publish, "/api/v1/uploads", "", "", "{}", "", "", false, true},
      {post, "/api/v1/uploads:missing", P::publish, "/api/v1/uploads:missing", "", "", "{}", "", "", false, true},
      {post, "/api/v1/uploads:batch", P::publish, "/api/v1/uploads:batch", "", "", "{}", "", "", false, true},
      {post, "/api/v1/policies:lint", P::read, "/api/v1/policies:lint", "", "", R"({"policy":"standard"})"},
      {post, "/api/v1/policies:lint", P::read, "/api/v1/policies:lint", "/api/v1/policies:lint", "/api/v1/policies:lint", lint_body("mine", "region=eu"),
       lint_body("rival", "region=eu"), lint_body("mine", "")},
      {post, "/api/v1/policies:lint", P::read, "/api/v1/policies:lint", "/api/v1/policies:lint", "/api/v1/policies:lint", lint_body("mine", "region=eu"),
       lint_body("mine", "region=eu,running=rival@1"), lint_body("mine", "region=us")},
      {post, "/api/v1/policies:preset", P::read, "/api/v1/policies:preset", "/api/v1/policies:preset", "/api/v1/policies:preset",
       R"({"name":"standard","selector":"region=eu"})", R"({"name":"standard","selector":"region=eu,running=rival@1"})", R"({"name":"standard"})"},
      {get, "/api/v1/uploads/{id}", P::publish, "/api/v1/uploads/none", "", "", "", "", "", false, true},
      {patch, "/api/v1/uploads/{id}", P::publish, "/api/v1/uploads/none", "", "", "", "", "", false, true},
      {put, "/api/v1/uploads/{id}", P::publish, "/api/v1/uploads/none", "", "", "", "", "", false, true},
      {get, "/api/v1/models/{m}/releases", P::read, "/api/v1/models/mine/releases", "/api/v1/models/rival/releases"},
      {post, "/api/v1/models/{m}/releases", P::publish, "/api/v1/models/mine/releases", "/api/v1/models/rival/releases", "", "{}", "{}", "",
       false, true},
      {get, "/api/v1/models/{m}/releases/{v}", P::read, "/api/v1/models/mine/releases/1", "/api/v1/models/rival/releases/1"},
      {get, "/api/v1/models/{m}/releases/{v}/attestations", P::read, "/api/v1/models/mine/releases/1/attestations",
       "/api/v1/models/rival/releases/1/attestations"},
      {get, "/api/v1/models/{m}/releases/{v}/lineage", P::read, "/api/v1/models/mine/releases/1/lineage", "/api/v1/models/rival/releases/1/lineage"},
      {get, "/api/v1/models/{m}/releases/{v}/routes", P::read, "/api/v1/models/mine/releases/1/routes", "/api/v1/models/rival/releases/1/routes"},
      {get, "/api/v1/models/{m}/releases/{v}/devices", P::read, "/api/v1/models/mine/releases/1/devices", "/api/v1/models/rival/releases/1/devices"},
      {get, "/blobs/sha256/{digest}", P::read, "/blobs/sha256/" + crypto::sha256("file of mine").hex()},
      {get, "/api/v1/telemetry/query", P::read, "/api/v1/telemetry/query?metric=accuracy", "/api/v1/telemetry/query?metric=accuracy&model=rival",
       "/api/v1/telemetry/query?metric=accuracy&selector=hardware%3Dcam-a"},
      {get, "/api/v1/telemetry/features", P::read, "/api/v1/telemetry/features?model=mine", "/api/v1/telemetry/features?model=rival",
       "/api/v1/telemetry/features?model=mine&selector=hardware%3Dcam-a", "", "", "", false, true},
      {get, "/api/v1/telemetry/metrics", P::read, "/api/v1/telemetry/metrics", "/api/v1/telemetry/metrics?model=rival", "", "", "", "", false, true},
      {get, "/api/v1/telemetry/labels", P::read, "/api/v1/telemetry/labels"},
      {put, "/api/v1/telemetry/labels", P::administer, "/api/v1/telemetry/labels", "", "", R"({"labels":["site"]})"},
      {get, "/api/v1/cost", P::read, "/api/v1/cost?keep_releases=1", "/api/v1/cost?model=rival", "/api/v1/cost", "", "", "", false, true},
      {get, "/api/v1/cost", P::read, "/api/v1/cost?rollout=r_eu", "/api/v1/cost?rollout=r_rival", "/api/v1/cost?rollout=r_eu", "", "", "", false, true},
      {get, "/api/v1/cost/prices", P::read, "/api/v1/cost/prices"},
      {get, "/api/v1/nodes", P::read, "/api/v1/nodes", "", "", "", "", "", true, true},
      {put, "/api/v1/cost/prices", P::administer, "/api/v1/cost/prices", "", "", "{}"},
      {get, "/api/v1/rollouts", P::read, "/api/v1/rollouts", "/api/v1/rollouts?model=rival"},
      {post, "/api/v1/rollouts:simulate", P::operate, "/api/v1/rollouts:simulate", "", "", "{}"},
      {post, "/api/v1/rollouts:plan", P::read, "/api/v1/rollouts:plan", "/api/v1/rollouts:plan", "/api/v1/rollouts:plan", rollout_body("mine", "region=eu"),
       rollout_body("rival", "region=eu"), rollout_body("mine", "")},
      {post, "/api/v1/rollouts:plan", P::read, "/api/v1/rollouts:plan", "/api/v1/rollouts:plan", "/api/v1/rollouts:plan", rollout_body("mine", "region=eu"),
       rollout_body("mine", "region=eu,running=rival@1"), rollout_body("mine", "region!=us")},
      {post, "/api/v1/rollouts", P::operate, "/api/v1/rollouts", "/api/v1/rollouts", "/api/v1/rollouts", rollout_body("mine", "region=eu"),
       rollout_body("rival", "region=eu"), rollout_body("mine", "region in (eu,us)")},
      {post, "/api/v1/rollouts", P::operate, "/api/v1/rollouts", "/api/v1/rollouts", "/api/v1/rollouts", rollout_body("mine", "region=eu"),
       rollout_body("mine", "region=eu", R"(,"supersede":"r_rival")"), rollout_body("mine", "region=eu", R"(,"supersede":"r_all")")},
      {post, "/api/v1/rollouts", P::operate, "/api/v1/rollouts", "/api/v1/rollouts", "/api/v1/rollouts", rollout_body("mine", "region=eu"),
       rollout_body("mine", "region=eu", R"(,"after":"r_rival")"), rollout_body("mine", "region=eu", R"(,"after":"r_us")")},
      {post, "/api/v1/devices/{id}:unhold", P::operate, "/api/v1/devices/in:unhold", "/api/v1/devices/in:unhold", "/api/v1/devices/yonder:unhold",
       R"({"model":"mine"})", R"({"model":"rival"})", R"({"model":"mine"})"},
      {post, "/api/v1/devices/{id}:approve", P::operate, "/api/v1/devices/in:approve", "/api/v1/devices/in:approve", "/api/v1/devices/yonder:approve", r, r, r,
       true},
      {post, "/api/v1/devices/{id}:approve", P::operate, "/api/v1/devices/in:approve", "/api/v1/devices/in:approve", "/api/v1/devices/in:approve", r, r,
       R"({"reason":"x","replaces":"yonder"})", true},
      {patch, "/api/v1/devices/{id}", P::operate, "/api/v1/devices/in", "/api/v1/devices/in", "/api/v1/devices/yonder", R"({"labels":{"x":"1"}})",
       R"({"labels":{"x":"1"}})", R"({"labels":{"x":"1"}})", true},
      {patch, "/api/v1/devices/{id}", P::operate, "/api/v1/devices/in", "/api/v1/devices/in", "/api/v1/devices/in", R"({"labels":{"x":"1"}})",
       R"({"labels":{"x":"1"}})", R"({"labels":{"region":"us"}})", true},
  };
  for (auto const* const view : {"", "/explain", "/series", "/devices"}) {
    for (auto const* const foreign : {"r_us", "r_all", "none"})
      out.push_back({get, std::string("/api/v1/rollouts/{id}") + view, P::read, std::string("/api/v1/rollouts/r_eu") + view,
                     std::string("/api/v1/rollouts/r_rival") + view, fmt::format("/api/v1/rollouts/{}{}", foreign, view)});
  }
  for (auto const* const verb : {"start", "pause", "resume", "promote", "retry", "abort", "rollback"}) {
    auto const body = std::string_view(verb) == "promote" ? std::string(R"({"stage":1})") : r;
    out.push_back({post, fmt::format("/api/v1/rollouts/{{id}}:{}", verb), P::operate, fmt::format("/api/v1/rollouts/r_eu:{}", verb),
                   fmt::format("/api/v1/rollouts/r_rival:{}", verb), fmt::format("/api/v1/rollouts/r_all:{}", verb), body, body, body});
  }
  out.push_back(
      {post, "/api/v1/rollouts/{id}:retry", P::operate, "/api/v1/rollouts/r_eu:retry", "", "/api/v1/rollouts/r_eu:retry", r, "", R"({"device":"yonder"})"});
  out.push_back({post, "/api/v1/rollouts/{id}:approve", P::approve, "/api/v1/rollouts/r_eu:approve", "/api/v1/rollouts/r_rival:approve",
                 "/api/v1/rollouts/r_all:approve", r, r, r});
  for (auto const* const verb : {"approve", "revoke"})
    out.push_back({post, fmt::format("/api/v1/models/{{m}}/releases/{{v}}:{}", verb), P::approve, fmt::format("/api/v1/models/mine/releases/1:{}", verb),
                   fmt::format("/api/v1/models/rival/releases/1:{}", verb), "", r, r, "", false, true});
  out.push_back({post, "/api/v1/models/{m}/releases/{v}:revoke", P::approve, "/api/v1/models/mine/releases/1:revoke", "/api/v1/models/mine/releases/1:revoke", "", r,
                 R"({"reason":"x","recall":true})", "", false, true});
  for (auto const* const verb : {"retire", "revoke"})
    out.push_back({post, fmt::format("/api/v1/devices/{{id}}:{}", verb), P::operate, fmt::format("/api/v1/devices/in:{}", verb),
                   fmt::format("/api/v1/devices/in:{}", verb), fmt::format("/api/v1/devices/yonder:{}", verb), r, r, r, true});
  out.push_back({del, "/api/v1/devices/{id}", P::operate, "/api/v1/devices/in", "/api/v1/devices/in", "/api/v1/devices/yonder", "", "", "", true});
  return out;
}

/// Roles and what they may, written down once more: a change of one must be a change of both.
bool may(std::string_view role, P permission) {
  static std::map<std::string_view, std::set<P>> const table{{"viewer", {P::read}},
                                                             {"operator", {P::read, P::operate}},
                                                             {"publisher", {P::read, P::publish}},
                                                             {"approver", {P::read, P::approve}},
                                                             {"admin", {P::read, P::operate, P::publish, P::approve, P::administer}}};
  return table.at(role).contains(permission);
}

TEST_CASE("every route of the API that asks for a token has its line among the cases, with its permission") {
  std::set<std::string> served, known;
  for (auto const* table : all_tables())
    for (auto const& route : *table)
      if (route.listener != Listener::device && route.permission != P::everyone)
        served.insert(fmt::format("{} {} {}", net::to_string(route.method), route.pattern, to_string(route.permission)));
  for (auto const& one : cases()) known.insert(fmt::format("{} {} {}", net::to_string(one.method), one.pattern, to_string(one.permission)));
  for (auto const& route : served) CHECK_MESSAGE(known.contains(route), route << ": what do a model and a selector limit here?");
  for (auto const& route : known) CHECK_MESSAGE(served.contains(route), route << " is not served");
}

TEST_CASE_FIXTURE(TwoSites, "what each role may do on each route, without limits, for one model, and for some devices") {
  for (auto const& one : cases()) {
    for (auto const& role : access::roles()) {
      auto const name = std::string(role.name);
      CAPTURE(net::to_string(one.method));
      CAPTURE(one.own);
      CAPTURE(name);
      bool const allowed = may(name, one.permission);
      auto const expected = [&](std::string const& refused) { return allowed ? refused : std::string("not_permitted"); };
      if (!one.model_foreign.empty() && name != "admin")
        CHECK(refusal(one.method, one.model_foreign, one.model_foreign_body, name + "-m") == expected("out_of_scope"));
      if (!one.selector_foreign.empty() && name != "admin")
        CHECK(refusal(one.method, one.selector_foreign, one.selector_foreign_body, name + "-s") == expected("out_of_scope"));
    }
  }
  for (auto const& one : cases()) {
    for (auto const& role : access::roles()) {
      auto const name = std::string(role.name);
      CAPTURE(net::to_string(one.method));
      CAPTURE(one.own);
      CAPTURE(name);
      auto const refused = may(name, one.permission) ? std::string() : std::string("not_permitted");
      CHECK(refusal(one.method, one.own, one.body, name) == refused);
      if (name == "admin") continue;
      CHECK(refusal(one.method, one.own, one.body, name + "-m") == (refused.empty() && one.closed_to_model ? "out_of_scope" : refused));
      bool const no_telemetry = one.pattern == "/api/v1/telemetry/query";  // it is summed over all devices
      bool const gone = one.method == del && one.pattern == "/api/v1/devices/{id}";  // the token without limits deleted it
      bool const closed = no_telemetry || one.closed_to_selector || gone;
      CHECK(refusal(one.method, one.own, one.body, name + "-s") == (refused.empty() && closed ? "out_of_scope" : refused));
    }
  }
}

TEST_CASE_FIXTURE(TwoSites, "lists and events show what the token's limits cover") {
  using Names = std::set<std::string>;
  CHECK(listed("/api/v1/models", "viewer", "name") == Names{"mine", "rival"});
  CHECK(listed("/api/v1/models", "viewer-m", "name") == Names{"mine"});
  REQUIRE(send(put, "/api/v1/models/first", "{}", "admin").status == 201);
  CHECK(listed("/api/v1/models?limit=1", "viewer-m", "name") == Names{"mine"});
  CHECK_MESSAGE(send(get, "/api/v1/models?limit=1", {}, "viewer-m").json().at("next").is_null(), "a cursor would name a model of others");
  CHECK(listed("/api/v1/models?cursor=bWluZQ", "viewer-m", "name").empty());
  CHECK(listed("/api/v1/rollouts", "viewer", "id") == Names{"r_eu", "r_us", "r_all", "r_rival"});
  CHECK(listed("/api/v1/rollouts", "viewer-m", "id") == Names{"r_eu", "r_us", "r_all"});
  CHECK(listed("/api/v1/rollouts", "viewer-s", "id") == Names{"r_eu", "r_rival"});
  CHECK(listed("/api/v1/devices", "viewer-s", "id") == Names{"in"});
  CHECK(send(post, "/api/v1/device-tokens", "{}", "operator").status == 201);
  CHECK(send(post, "/api/v1/device-tokens", R"({"labels":{"region":"eu"}})", "operator-s").status == 201);
  CHECK(listed("/api/v1/device-tokens", "operator", "created_by") == Names{"token:operator", "token:operator-s"});
  CHECK(listed("/api/v1/device-tokens", "operator-s", "created_by") == Names{"token:operator-s"});

  sql({"test.clean", "DELETE FROM events"});
  for (auto const* const subject : {"device/in", "device/yonder", "device/gone", "rollout/r_eu", "rollout/r_us", "rollout/r_rival", "release/mine@1",
                                    "release/rival@1", "model/rival", "token/x", "role/x", "server/x"})
    add_event(subject);
  CHECK(listed("/api/v1/events?after=0", "admin", "subject").size() == 12);
  CHECK(listed("/api/v1/events?after=0", "viewer", "subject") == Names{"device/in", "device/yonder", "device/gone", "rollout/r_eu", "rollout/r_us",
                                                                       "rollout/r_rival", "release/mine@1", "release/rival@1", "model/rival", "server/x"});
  CHECK(listed("/api/v1/events?after=0", "viewer-m", "subject") == Names{"device/in", "device/yonder", "device/gone", "rollout/r_eu", "rollout/r_us", "release/mine@1"});
  CHECK(listed("/api/v1/events?after=0", "viewer-s", "subject") ==
        Names{"device/in", "rollout/r_eu", "rollout/r_rival", "release/mine@1", "release/rival@1", "model/rival"});
  CHECK_MESSAGE(send(get, "/api/v1/events?after=0&limit=4", {}, "viewer-s").json().at("next").is_string(), "a page of hidden events leads on");
}

TEST_CASE_FIXTURE(TwoSites, "no answer that a limited token gets names a model or a device beyond its limits") {
  add_secrets();
  auto const all = send(get, "/api/v1/devices/in", {}, "viewer");
  CHECK_MESSAGE(all.body.find("rival") != std::string::npos, "the secrets are there");
  auto const explained = send(get, "/api/v1/devices/in/explain", {}, "viewer");
  CHECK_MESSAGE(explained.body.find("r_us") != std::string::npos, explained.body);
  for (auto const& one : cases()) {
    if (one.permission != P::read && one.method != get) continue;  // what reads
    for (auto const& role : access::roles()) {
      auto const name = std::string(role.name);
      if (name == "admin" || !may(name, one.permission)) continue;
      using Secrets = std::vector<char const*>;
      for (auto const& [token, secrets] : {std::pair{name + "-m", Secrets{"rival"}}, std::pair{name + "-s", Secrets{"yonder", "r_us", "region=us"}}}) {
        auto const answer = send(one.method, one.own, one.body, token);
        for (auto const* const secret : secrets) {
          CAPTURE(one.own);
          CAPTURE(token);
          CHECK_MESSAGE(answer.body.find(secret) == std::string::npos, answer.body);
        }
      }
    }
  }
}

TEST_CASE_FIXTURE(TwoSites, "a set that a token's model is a member of is not named to it, by a plan or by a refusal") {
  add_release("bundle");
  sql({"test.member", "INSERT INTO release_members (release, position, member, model, comes_after) SELECT s.n, 0, m.n, 'mine', '[]' FROM releases s, releases m "
                      "WHERE s.model = 'bundle' AND m.model = 'mine'"});
  add_rollout("r_bundle", "bundle", "region=eu");
  sql({"test.start", "UPDATE rollouts SET state = 'running', stage = 1, started_at = 1, moment = 1 WHERE id = 'r_bundle'"});
  struct Asked {
    net::Method method;
    std::string target, body, role, told;
  };
  for (auto const& one : {Asked{post, "/api/v1/rollouts:plan", rollout_body("mine", "region=eu"), "viewer", "a rollout of another model moves"},
                          Asked{post, "/api/v1/rollouts", rollout_body("mine", "region=eu"), "operator", "a rollout of another model is running"}}) {
    auto const whole = send(one.method, one.target, one.body, one.role);
    CHECK_MESSAGE(whole.body.find("r_bundle") != std::string::npos, whole.body);
    auto const limited = send(one.method, one.target, one.body, one.role + "-m");
    CHECK(limited.status == whole.status);
    CHECK_MESSAGE(limited.body.find("bundle") == std::string::npos, limited.body);
    CHECK_MESSAGE(limited.body.find(one.told) != std::string::npos, limited.body);
  }
}

TEST_CASE_FIXTURE(TwoSites, "who runs what is made of a data set is told of the token's own model") {
  add_secrets();
  sql({"test.dataset", R"(UPDATE releases SET datasets = '[{"name":"faces","sha256":""}]' WHERE model = 'rival')"});
  sql({"test.unrelated", "DELETE FROM release_parents"});
  CHECK(listed("/api/v1/devices?dataset=faces", "viewer", "id").size() == 2);
  CHECK(send(get, "/api/v1/devices?dataset=faces", {}, "viewer-m").code() == send(get, "/api/v1/devices?dataset=none", {}, "viewer-m").code());
  sql({"test.parent", "INSERT INTO release_parents (release, parent, relation) SELECT c.n, p.n, 'finetune' FROM releases c, releases p WHERE c.model = 'mine' AND p.model = 'rival'"});
  CHECK(listed("/api/v1/devices?dataset=faces", "viewer-m", "id").size() == 2);
  sql({"test.idle", "DELETE FROM device_models WHERE model = 'mine' AND device = (SELECT n FROM devices WHERE id = 'in')"});
  CHECK(listed("/api/v1/devices?dataset=faces", "viewer-m", "id") == std::set<std::string>{"yonder"});
}

TEST_CASE_FIXTURE(TwoSites, "bytes are for whom a release names them, or who sent them; others hear that there are none") {
  auto const blob = [&](std::string const& digest, std::string const& who) { return send(get, "/blobs/sha256/" + digest, {}, who).code(); };
  auto const read = [&](std::string const& digest, std::string const& who) { return send(get, "/blobs/sha256/" + digest, {}, who).status; };
  CHECK(read(blobs["mine"], "viewer-m") == 200);
  CHECK(read(blobs["rival"], "viewer") == 200);
  CHECK(read(blobs["rival"], "viewer-s") == 200);
  CHECK(blob(blobs["rival"], "viewer-m") == "unknown_blob");
  auto const sent = crypto::sha256("sent, and in no release");
  sql({"test.blob", "INSERT INTO blobs (sha256, size, created_at) VALUES (?1, 5, 0)"}, sent);
  sql({"test.upload",
       "INSERT INTO uploads (id, sha256, size, received, state, created_by, created_at) VALUES ('up_1', ?1, 5, 5, 'done', 'token:publisher', 0)"},
      sent);
  CHECK(read(sent.hex(), "publisher") == 200);
  for (auto const* const who : {"admin", "viewer", "publisher-m", "operator"}) CHECK(blob(sent.hex(), who) == "unknown_blob");
  CHECK(send(get, "/api/v1/uploads/up_1", {}, "publisher").status == 200);
  CHECK(send(get, "/api/v1/uploads/up_1", {}, "admin").code() == "unknown_upload");
}

TEST_CASE_FIXTURE(TwoSites, "a publisher of one model names what everybody knows of other models as a parent, and learns of nothing else") {
  auto const publish = [&](std::string const& parent) {
    auto const body = fmt::format(
        R"({{"version":"2","parents":[{{"model":"rival","version":"{}","relation":"finetune"}}],"variants":[{{"hardware":["a"],"files":[{{"name":"f","size":5,"sha256":"{}","executable":false}}]}}]}})",
        parent, blobs["mine"]);
    return send(post, "/api/v1/models/mine/releases", body, "publisher-m").code();
  };
  auto const absent = publish("77"), draft = publish("1");
  CHECK(absent == "out_of_scope");
  CHECK(draft == absent);
  sql({"test.approve", "UPDATE releases SET state = 'approved' WHERE model = 'rival'"});
  auto const body = fmt::format(
      R"({{"version":"2","parents":[{{"model":"rival","version":"1","relation":"finetune"}}],"variants":[{{"hardware":["a"],"files":[{{"name":"f","size":5,"sha256":"{}","executable":false}}]}}]}})",
      blobs["mine"]);
  CHECK(send(post, "/api/v1/models/mine/releases", body, "publisher-m").status == 201);
}

TEST_CASE_FIXTURE(TwoSites, "who is limited to a set sees its rollouts, and moves no models of its members by them") {
  sql({"test.kind", "UPDATE models SET kind = 'set' WHERE name = 'mine'"});
  CHECK(send(get, "/api/v1/rollouts/r_eu", "", "operator-m").status == 200);
  for (auto const* const path : {"/api/v1/rollouts", "/api/v1/rollouts:plan"}) {
    auto const refused = send(post, path, rollout_body("mine", "region=eu", ""), "operator-m");
    CHECK(refused.status == 403);
    CHECK(refused.body.find("members of set") != std::string::npos);
  }
  CHECK(send(post, "/api/v1/rollouts/r_eu:start", R"({"reason":"x"})", "operator-m").status == 403);
  CHECK(send(post, "/api/v1/rollouts/r_eu:start", R"({"reason":"x"})", "operator-s").status != 403);
}

TEST_CASE_FIXTURE(TwoSites, "what a device token leaves open may be anything") {
  add_token("operator", "-not", {}, "region!=us");
  add_token("operator", "-kind", {}, "hardware notin (cam-b)");
  add_token("operator", "-bare", {}, "!region");
  struct Bound {
    std::string body, who;
    int status;
  };
  for (auto const& [body, who, status] :
       {Bound{"{}", "operator-not", 403}, Bound{R"({"labels":{"region":"us"}})", "operator-not", 403}, Bound{R"({"labels":{"region":"eu"}})", "operator-not", 201},
        Bound{"{}", "operator-kind", 403}, Bound{R"({"hardware":"cam-b"})", "operator-kind", 403}, Bound{R"({"hardware":"cam-a"})", "operator-kind", 201},
        Bound{"{}", "operator-bare", 403}, Bound{R"({"labels":{"site":"1"}})", "operator-s", 403}, Bound{R"({"labels":{"region":"eu"}})", "operator-s", 201}}) {
    CAPTURE(body);
    CAPTURE(who);
    CHECK(send(post, "/api/v1/device-tokens", body, who).status == status);
  }
}

TEST_CASE_FIXTURE(TwoSites, "a CI system that asks for token after token is told to use those it has") {
  sql({"test.role",
       "INSERT INTO bound_roles (name, role, issuer, issuer_ca, audience, repository_claim, repository, ref, expires_in_ms, created_by, created_at) VALUES "
       "('ci', 'publisher', 'https://i', 'x', 'a', 'repository', 'r', 'main', 1000, 'x', 0)"});
  auto const give = [&](std::string const& name, SysTime now) {
    return store->write_value<access::GivenToken>(store::Lane::verbs, [&](store::Tx& tx) {
      return access::add_token(tx, system_random(), {"tok-" + name, name, "publisher", "", "", "oidc:r@i", "ci", std::chrono::minutes(15)}, "oidc:r@i", now);
    });
  };
  sql({"test.many",
       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO tokens (id, name, role, hash, created_by, created_at, "
       "expires_at, bound_role) SELECT 'tok-ci-' || i, 'ci-' || i, 'publisher', CAST(i AS BLOB), 'x', 0, ?1, 'ci' FROM n"},
      to_unix_ms(kStart) + 60'000);
  CHECK(give("ci-more", kStart).error().code == "too_many_tokens");
  CHECK(give("ci-later", kStart + std::chrono::minutes(2)).has_value());
}

TEST_CASE_FIXTURE(TwoSites, "a token with limits reads no metrics of the whole fleet") {
  CHECK(send(get, "/metrics", {}, "viewer").status == 200);
  CHECK(send(get, "/metrics", {}, "viewer-m").code() == "out_of_scope");
  CHECK(send(get, "/metrics", {}, "viewer-s").code() == "out_of_scope");
}

TEST_CASE_FIXTURE(TwoSites, "a rollout that reaches beyond the token is refused by name, with what would do") {
  auto const refused = send(post, "/api/v1/rollouts", rollout_body("mine", "site=1"), "operator-s");
  CHECK(refused.status == 403);
  CHECK(refused.text("detail") == "token:operator-s is limited to devices of 'region=eu', which does not cover the selector (site=1)");
  CHECK(refused.text("hint") == "narrow it: -l 'region=eu,site=1'");
}

TEST_CASE_FIXTURE(TwoSites, "tokens of one user are one identity: what one published, the other cannot approve") {
  auto const model = send(put, "/api/v1/models/strict", R"({"approvals_required":1})", "admin");
  REQUIRE_MESSAGE(model.status == 201, model.body);
  auto const token = [&](std::string const& name, std::string const& role, std::string const& user) {
    auto const made = send(post, "/api/v1/tokens", fmt::format(R"({{"name":"{}","role":"{}","user":"{}"}})", name, role, user), "admin");
    REQUIRE_MESSAGE(made.status == 201, made.body);
    CHECK(made.text("identity") == "user:" + user);
    return made.text("secret").substr(4);
  };
  auto const publisher = token("ann-ci", "publisher", "ann"), own = token("ann-desk", "approver", "ann"), other = token("bob", "approver", "bob");
  sql({"test.blob", "INSERT OR IGNORE INTO blobs (sha256, size, created_at) VALUES (?1, 5, 0)"}, *Digest::parse(blobs["mine"]));
  auto const release =
      fmt::format(R"({{"version":"1","variants":[{{"hardware":["a"],"files":[{{"name":"f","size":5,"sha256":"{}","executable":false}}]}}]}})", blobs["mine"]);
  auto const published = send(post, "/api/v1/models/strict/releases", release, publisher);
  REQUIRE_MESSAGE(published.status == 201, published.body);
  CHECK(published.text("created_by") == "user:ann");
  auto const refused = send(post, "/api/v1/models/strict/releases/1:approve", R"({"reason":"x"})", own);
  CHECK(refused.code() == "own_release");
  CHECK(send(get, "/api/v1/models/strict/releases/1", {}, own).text("state") == "draft");
  auto const approved = send(post, "/api/v1/models/strict/releases/1:approve", R"({"reason":"x"})", other);
  CHECK_MESSAGE(approved.text("state") == "approved", approved.body);
}

TEST_CASE_FIXTURE(TwoSites, "a publisher of one model cannot take another model's bytes by naming their digest") {
  auto const upload = [&](std::string const& digest, std::string const& who) {
    return send(post, "/api/v1/uploads", fmt::format(R"({{"sha256":"{}","size":5}})", digest), who);
  };
  auto const release = [&](std::string const& version, std::string const& digest) {
    auto const body = fmt::format(R"({{"version":"{}","variants":[{{"hardware":["a"],"files":[{{"name":"f","size":5,"sha256":"{}","executable":false}}]}}]}})",
                                  version, digest);
    return send(post, "/api/v1/models/mine/releases", body, "publisher-m");
  };
  CHECK(release("2", blobs["rival"]).code() == "unknown_blob");
  CHECK(release("2", blobs["mine"]).status == 201);
  CHECK(upload(blobs["mine"], "publisher-m").text("state") == "done");
  auto const disguised =
      fmt::format(R"({{"version":"2a","variants":[{{"hardware":["a"],"files":[{{"name":"{}","size":5,"sha256":"{}","executable":false}}]}}]}})", blobs["rival"],
                  blobs["mine"]);
  CHECK(send(post, "/api/v1/models/mine/releases", disguised, "publisher-m").status == 201);  // a file of that name is not that file
  CHECK(release("2b", blobs["rival"]).code() == "unknown_blob");
  CHECK(upload(blobs["rival"], "publisher-m").text("state") == "open");
  CHECK(upload(blobs["rival"], "publisher").text("state") == "done");
  CHECK(release("3", blobs["rival"]).code() == "unknown_blob");
  sql({"test.upload", "UPDATE uploads SET state = 'done' WHERE sha256 = ?1"}, *Digest::parse(blobs["rival"]));  // it had the bytes, and sent them
  CHECK(release("3", blobs["rival"]).status == 201);
}

TEST_CASE_FIXTURE(TwoSites, "the same content asked for in another order is the same release, and a repeat of the same request") {
  sql({"test.blob", "INSERT OR IGNORE INTO blobs (sha256, size, created_at) VALUES (?1, 5, 0)"}, *Digest::parse(blobs["mine"]));
  auto const one = fmt::format(
      R"({{"version":"2","metrics":{{"a":1.5,"b":2}},"variants":[{{"hardware":["a"],"files":[{{"name":"f","size":5,"sha256":"{}","executable":false}}]}}]}})",
      blobs["mine"]);
  auto const two = fmt::format(
      R"({{"variants":[{{"files":[{{"executable":false,"sha256":"{}","size":5,"name":"f"}}],"hardware":["a"]}}],"metrics":{{"b":2,"a":1.5}},"version":"2"}})",
      blobs["mine"]);
  CHECK(send(post, "/api/v1/models/mine/releases", one, "publisher").status == 201);
  CHECK(send(post, "/api/v1/models/mine/releases", two, "publisher").status == 200);
}

}  // namespace
}  // namespace fleet::api
