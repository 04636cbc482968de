#pragma once

#include "core/crypto/hash.hpp"
#include "core/stats/sketch.hpp"
#include "core/wire/release.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/engine.hpp"
#include "server/rollout/shell/verbs.hpp"
#include "server/rollout/shell/views.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <functional>
#include <set>
#include <vector>

namespace fleet::rollout::test {

/// What a virtual device does with a release it is told.
enum class Behaviour { works, inaccurate, fails_golden, fails_probation, falls_silent, lingers };

/// A real store and engine, devices played by the test, a judge that looks when it is asked. Verbs only name a stage: a look opens its window.
struct RolloutFixture : fleet::test::StoreFixture {
  std::unique_ptr<Engine> engine = *Engine::create(services);
  std::function<Behaviour(std::string const& device, std::string const& version)> behaviour = [](auto const&, auto const&) { return Behaviour::works; };
  std::set<std::int64_t> offline;
  int devices = 0;
  Millis pace{1'000};  ///< from one poll of a device to the next, and from look to look

  RolloutFixture() { sql({"test.model", "INSERT INTO models (name, created_at) VALUES ('reader', 0)"}); }

  void add_release(std::string const& version, std::vector<std::string> const& hardware, std::int64_t floor = 0, std::string const& state = "approved") {
    wire::Release release;
    release.model = "reader";
    release.version = version;
    release.release_counter = ++counter_;
    release.manifest.security_floor = floor;
    release.manifest.schema["accuracy"].range = wire::MetricSchema::Range{0, 1};
    release.variants.push_back({hardware, {{"model.onnx", 5, crypto::sha256(version), false}}});
    auto const document = wire::encode(release);
    digests_[version] = crypto::sha256(document);
    sql({"test.release",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('reader', ?, ?, ?, x'00', ?, 'token:ci', 0)"},
        version, digests_[version], document, state);
  }
  void add_devices(int count, std::string const& hardware, std::string const& labels = "{}") {
    for (int i = 0; i < count; ++i) {
      ++devices;
      auto const id = hardware + "-" + std::to_string(i);
      sql({"test.device", "INSERT INTO devices (n, id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?, ?, ?, 'active', ?, ?, 0, 0)"},
          devices, id, hardware, labels, crypto::sha256(id));
      sql({"test.contact", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) VALUES (?, 0, 1, 1)"}, devices);
    }
  }
  events::Deed deed(std::string reason = "because") { return {clock.wall(), "token:ops", std::move(reason), "req"}; }

  Result<Rollout> make(std::string const& version, std::string const& policy, bool start = true, std::string const& selector = "",
                       std::string const& after = "", std::string const& supersede = "", std::string const& reason = "because") {
    CreateRequest request;
    FLEET_TRY(request.plan.policy, decode_policy(policy, "/policy"));
    request.plan.model = "reader";
    request.plan.version = version;
    request.plan.selector = selector;
    FLEET_TRY(request.plan.salt, next_salt(store->reader(), "reader", version));
    request.id = "r_" + std::to_string(++made_);
    request.start = start;
    request.after = after;
    request.supersede = supersede;
    FLEET_TRY(auto const planned, plan(store->reader(), request.plan));
    FLEET_TRY(auto made, store->write_value<Rollout>(store::Lane::verbs, [&](store::Tx& tx) { return create(tx, request, planned, deed(reason)); }));
    if (start) look();
    return made;
  }
  template <class Verb>
  Result<Rollout> act(Verb const& verb) {
    return store->write_value<Rollout>(store::Lane::verbs, [&](store::Tx& tx) { return verb(tx); });
  }
  void look() {
    auto const judged = engine->look();
    REQUIRE_MESSAGE(judged, judged.error().detail);
  }
  /// What an authenticated poll leaves behind.
  void hear(std::int64_t n) {
    auto const every_s = static_cast<int>(std::chrono::duration_cast<seconds>(pace).count());
    store->note_contact(n, {clock.wall(), every_s, every_s});
    engine->heard(n, {.report = pace, .poll = pace});
  }
  Rollout get(std::string const& id) { return *load_rollout(store->reader(), id); }
  std::string running(std::int64_t n) {
    return text({"test.running", "SELECT coalesce((SELECT running FROM device_models WHERE device = ? AND model = 'reader'), '')"}, n);
  }
  int running_count(std::string const& version) {
    return std::stoi(text({"test.running_count", "SELECT count(*) FROM device_models WHERE model = 'reader' AND running IS ?"}, version));
  }
  std::string state_of(std::string const& rollout, std::int64_t n) {
    return text({"test.state", "SELECT d.state FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout WHERE r.id = ? AND d.device = ?"}, rollout, n);
  }
  /// Devices that were told the release; of controls there is one more word.
  int count(std::string const& rollout, std::string const& state, std::string const& arm = "canary") {
    return std::stoi(text({"test.count",
                           "SELECT count(*) FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout WHERE r.id = ?1 AND (d.state = ?2 OR ?2 = '') AND d.arm = ?3"},
                          rollout, state, arm));
  }
  Decision decide(std::int64_t n) { return *engine->decide(store->reader(), *registry::load_device_facts(store->reader(), n), clock.wall()); }

  void report(std::int64_t n, Desired const& desired, std::string const& state, std::string const& running_now, std::string const& error = "") {
    wire::UpdateItem item;
    item.at = clock.wall();
    item.model = "reader";
    item.version = desired.version;
    item.rollout = desired.target.rollout;
    item.attempt = desired.target.attempt;
    item.state = state;
    item.running_version = running_now;
    item.error.code = error;
    engine->heard(n);
    auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      FLEET_TRY(auto facts, registry::load_device_facts(tx.connection(), n));
      facts.running.versions["reader"] = running_now;
      auto row = tx.prepare({"test.put",
                             "INSERT INTO device_models (device, model, running, running_digest, state, since) VALUES (?1, 'reader', ?2, ?3, 'idle', 0) "
                             "ON CONFLICT DO UPDATE SET running = ?2, running_digest = ?3"});
      auto const digest = digests_.find(running_now);
      row.bind_all(n, running_now.empty() ? std::nullopt : std::optional(running_now), digest == digests_.end() ? std::nullopt : std::optional(digest->second));
      FLEET_CHECK(row.run());
      return engine->on_update(tx, facts, item, clock.wall());
    });
    REQUIRE_MESSAGE(done, done.error().detail);
  }
  /// What it sent in so many seconds until now, a block of a second each.
  void measure(std::int64_t n, std::string const& version, double accuracy, std::int64_t samples = 60, int blocks = 10, wire::Flagged const& flagged = {}) {
    for (int block = 1; block <= blocks; ++block) {
      wire::MetricsItem item;
      item.model = "reader";
      item.digest = digests_.at(version).hex();
      item.until = clock.wall() - seconds(blocks - block);
      item.since = item.until - seconds(1);
      wire::MetricsItem::Metric metric;
      metric.name = "accuracy";
      metric.kind = "d";
      metric.count = samples / blocks;
      metric.sum = accuracy * static_cast<double>(metric.count);
      metric.buckets[stats::Sketch::key_of(accuracy)] = metric.count;
      metric.flagged = flagged;
      item.metrics.push_back(metric);
      auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
        FLEET_TRY(auto const facts, registry::load_device_facts(tx.connection(), n));
        return engine->on_metrics(tx, facts, item, clock.wall());
      });
      REQUIRE_MESSAGE(done, done.error().detail);
    }
  }
  /// One poll of one device, and what it does about the answer.
  void poll(std::int64_t n) {
    hear(n);
    auto const facts = *registry::load_device_facts(store->reader(), n);
    auto const decision = *engine->decide(store->reader(), facts, clock.wall());
    if (decision.models.empty() || decision.models[0].target.model.empty()) return;
    auto const& desired = decision.models[0];
    auto const before = running(n);
    bool const proves = desired.target.action == wire::Action::prove;
    bool const returns = !proves && desired.target.action != wire::Action::install;
    if (!desired.joins && !returns && !proves && desired.version == before) return;
    auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->dispatched(tx, facts, decision, clock.wall()); });
    REQUIRE_MESSAGE(done, done.error().detail);
    if (proves) return prove(n, facts.id, desired);
    if (desired.version == before) return;
    if (returns) return report(n, desired, "committed", desired.version);
    auto const acts = behaviour(facts.id, desired.version);
    report(n, desired, "testing", before);
    if (acts == Behaviour::falls_silent) {
      offline.insert(n);
      return;
    }
    if (acts == Behaviour::lingers) return;  // it has started, and is at it
    if (acts == Behaviour::fails_golden) return report(n, desired, "failed", before, "golden_mismatch");
    report(n, desired, "probation", desired.version);
    if (acts == Behaviour::fails_probation) return report(n, desired, "rolled_back", before, "health_failed");
    report(n, desired, "committed", desired.version);
    measure(n, desired.version, acts == Behaviour::inaccurate ? .4 : .97);
  }
  /// A control: it runs what it runs, and says how that does.
  void prove(std::int64_t n, std::string const& id, Desired const& desired) {
    report(n, desired, "proving", desired.version);
    auto const acts = behaviour(id, desired.version);
    if (acts == Behaviour::falls_silent) {
      offline.insert(n);
      return;
    }
    if (acts == Behaviour::lingers) return;
    if (acts == Behaviour::fails_probation) return report(n, desired, "failed", desired.version, "health_failed");
    report(n, desired, "proved", desired.version);
    measure(n, desired.version, acts == Behaviour::inaccurate ? .4 : .97);
  }
  /// All devices that are online poll, then time goes on and the judge looks.
  void step() {
    for (int n = 1; n <= devices; ++n)
      if (!offline.contains(n)) poll(n);
    clock.advance(pace);
    look();
  }
  void steps(int count) {
    for (int i = 0; i < count; ++i) step();
  }
  /// Steps until the rollout is in the state, at most 120 times.
  bool reaches(std::string const& id, State state) {
    for (int i = 0; i < 120 && get(id).state != state; ++i) step();
    return get(id).state == state;
  }
  Digest digest(std::string const& version) { return digests_.at(version); }

private:
  std::map<std::string, Digest> digests_;
  std::int64_t counter_ = 0;
  int made_ = 0;
};

/// The demonstration's policy: 40 devices in two classes, a canary of 2 + 2.
inline std::string const kDemoPolicy = R"({"stages":[{"percent":10,"bake":"1s","deadline":"10m"},{"percent":50,"bake":"1s"},{"percent":100,"bake":"1s"}],
  "gates":{"silent":{"after_reports":3},"absolute":[{"metric":"agent.install_failure","devices_max":"2%"},{"metric":"accuracy","min":0.90,"block":"1s","blocks":8,"samples":40,"devices_max":"2%"}],
  "certify":{"devices_max":["60%","20%","12%"]}}})";
inline std::string const kPlainPolicy = R"({"stages":[{"percent":10},{"percent":100}]})";

}  // namespace fleet::rollout::test
