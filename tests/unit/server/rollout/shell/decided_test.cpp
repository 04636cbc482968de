#include "server/rollout/engine/verdict_json.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Windows that are shut by looking at their members, and canaries beside controls.
std::string const kCompared = R"({"stages":[{"percent":50},{"percent":100}],"control":{"per_canary":1},"gates":{"failures":{}}})";

/// The set `gate`, of whose releases each has `reader` of the version named.
struct SetFixture : RolloutFixture {
  SetFixture() {
    add_release("1", {"cam"});
    add_release("2", {"cam"});
    add_release("3", {"cam"}, 3);
    add_devices(4, "cam");
    for (int n = 1; n <= 4; ++n) runs(n, "1");
    sql({"test.set_model", "INSERT INTO models (name, created_at, kind) VALUES ('gate', 0, 'set')"});
    wire::Release set;
    set.model = "gate";
    set.version = "1";
    set.release_counter = 1;
    set.members = {{"reader", "3", digest("3"), {}}};
    auto const document = wire::encode(set);
    sql({"test.set",
         "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('gate', '1', ?, ?, x'00', 'approved', 'token:ci', 0)"},
        crypto::sha256(document), document);
    sql({"test.member",
         "INSERT INTO release_members (release, position, member, model, comes_after) "
         "SELECT s.n, 0, r.n, 'reader', '[]' FROM releases s, releases r WHERE s.model = 'gate' AND r.model = 'reader' AND r.version = '3'"});
  }
  void runs(std::int64_t n, std::string const& version) {
    sql({"test.runs", "INSERT INTO device_models (device, model, running, state, since) VALUES (?1, 'reader', ?2, 'idle', 0) ON CONFLICT DO UPDATE SET running = ?2"}, n,
        version);
  }
  Rollout make_set(std::string const& policy) {
    CreateRequest request;
    request.plan.policy = *decode_policy(policy, "/policy");
    request.plan.model = "gate";
    request.plan.version = "1";
    request.plan.salt = *next_salt(store->reader(), "gate", "1");
    request.id = "r_set";
    request.start = true;
    auto const planned = plan(store->reader(), request.plan);
    REQUIRE_MESSAGE(planned, planned.error().detail);
    auto const made = store->write_value<Rollout>(store::Lane::verbs, [&](store::Tx& tx) { return create(tx, request, *planned, deed()); });
    REQUIRE_MESSAGE(made, made.error().detail);
    return *made;
  }
  std::string reason(std::string const& id) { return get(id).reason; }
  void looks(int count) {
    for (int i = 0; i < count; ++i) {
      for (int n = 1; n <= devices; ++n)
        if (!offline.contains(n)) hear(n);
      clock.advance(seconds(2));
      look();
    }
  }
};

}  // namespace

TEST_CASE("a window waits for no control that runs what the catalog does not know: it is never told to prove that") {
  RolloutFixture f;
  f.add_release("2", {"cam"});
  f.add_devices(8, "cam");
  for (int n = 1; n <= 8; ++n) f.report(n, {}, "idle", "built-by-hand");
  auto const made = f.make("2", kCompared);
  REQUIRE(made);
  CHECK(f.reaches(made->id, State::completed));
  CHECK(f.count(made->id, "", "control") == 0);
  CHECK(f.running_count("2") == 8);
}

TEST_CASE("the judge says of a set's devices what their polls say: who must give a member back first is told nothing, and is named as held") {
  SetFixture f;
  auto const member = f.make("2", kPlainPolicy);
  REQUIRE(member);
  REQUIRE(f.reaches(member->id, State::completed));
  f.offline = {1, 2, 3, 4};
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, member->id, f.deed()); }));
  REQUIRE(f.reaches(member->id, State::rolled_back));
  f.offline.clear();
  auto const set = f.make_set(R"({"stages":[{"percent":100}],"on_harm":"pause"})");
  f.looks(5);
  auto const decision = f.decide(1);
  auto const of = [&](std::string const& model) {
    return *std::find_if(decision.models.begin(), decision.models.end(), [&](Desired const& one) { return one.model == model; });
  };
  REQUIRE(of("reader").target.action == wire::Action::revert);
  CHECK(of("gate").target.model.empty());
  CHECK(of("gate").overtaken_by == member->id);
  auto const reason = reason_of(f.get(set.id).verdict);
  CHECK_MESSAGE(reason.find("4 devices held by a rollout of another model") != std::string::npos, reason);
  CHECK_MESSAGE(reason.find(member->id) == std::string::npos, reason);  // not everybody who sees the set sees that one
  CHECK_MESSAGE(reason.find("have not been told yet") == std::string::npos, reason);
}

TEST_CASE("a refusal over a member's floor names the member to those who see its model alone") {
  SetFixture f;
  PlanRequest request;
  request.policy = *decode_policy(kPlainPolicy, "/policy");
  request.model = "gate";
  request.version = "1";
  request.salt = "salt";
  for (auto const& [sees, named] : {std::pair{"", true}, {"reader", true}, {"gate", false}}) {
    request.sees = sees;
    auto const refused = plan(f.store->reader(), request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "floor_forbids_return");
    CHECK_MESSAGE((refused.error().detail.find("reader@1") != std::string::npos) == named, refused.error().detail);
  }
}

TEST_CASE("of a set whose member was revoked, explain names the member") {
  SetFixture f;
  auto const set = f.make_set(R"({"stages":[{"percent":100}],"on_harm":"pause"})");
  f.looks(1);
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) {
    tx.raise_policy_epoch();
    return tx.prepare({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE model = 'reader' AND version = '3'"}).run();
  }));
  auto const decision = f.decide(1);
  std::string said;
  for (auto const& one : decision.models)
    if (one.model == "gate")
      for (auto const& because : one.because)
        if (because.code == "revoked") said = because.text + (because.names_others ? "!" : "");
  CHECK(said == "release 1 of rollout " + set.id + " was revoked: its member reader@3 was!");
  f.look();
  CHECK(reason_of(f.get(set.id).verdict) == "the release was revoked, or one of its members: fleetctl set get shows which");
}

TEST_CASE("a rollout says that a freeze holds it, and until when") {
  RolloutFixture f;
  f.add_release("2", {"cam"});
  f.add_devices(4, "cam");
  f.clock.set_wall(from_unix_ms(1'800'000'000'000));
  auto const made = f.make("2", R"({"stages":[{"percent":100}],"freeze":[{"from":"2020-01-01T00:00:00Z","to":"2030-01-03T00:00:00Z"}]})");
  REQUIRE(made);
  f.steps(3);
  auto const reason = reason_of(f.get(made->id).verdict);
  CHECK_MESSAGE(reason.find("frozen: nothing new starts until 2030-01-03T00:00:00Z") != std::string::npos, reason);
  CHECK(f.count(made->id, "") == 0);
}
