#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Who made a rollout does not approve it.
events::Deed by_another(events::Deed deed) {
  deed.actor = "token:somebody-else";
  return deed;
}

struct VerbFixture : RolloutFixture {
  VerbFixture() {
    for (auto const version : {"1", "2", "3"}) add_release(version, {"cam-a", "cam-b"});
    add_devices(10, "cam-a");
    add_devices(10, "cam-b");
  }
  std::string audit_count() { return text({"test.audit", "SELECT count(*) FROM audit"}); }
  /// A rollout brought into a state by verbs alone.
  Rollout in_state(State state) {
    auto const policy = R"({"stages":[{"percent":10},{"percent":100}],"approvals":{"required":1,"before_stage":2}})";
    auto const id = make("2", policy, state != State::draft)->id;
    auto const to = [&](auto const& verb) { REQUIRE(act(verb)); };
    auto const promoted = [&] { to([&](store::Tx& tx) { return promote(tx, id, {.stage = get(id).stage}, deed()); }); };
    auto const approved = [&] { to([&](store::Tx& tx) { return approve(tx, id, by_another(deed())); }); };
    if (state == State::awaiting_approval) promoted();
    if (state == State::paused) to([&](store::Tx& tx) { return pause(tx, id, deed()); });
    if (state == State::aborted) to([&](store::Tx& tx) { return abort(tx, id, deed()); });
    if (state == State::rolling_back || state == State::rolled_back) to([&](store::Tx& tx) { return rollback(tx, id, deed()); });
    if (state == State::rolled_back) look();
    if (state == State::completed) {
      approved();
      promoted();
      promoted();
    }
    auto out = get(id);
    REQUIRE(to_string(out.state) == to_string(state));
    return out;
  }
};

}  // namespace

TEST_CASE("every verb in every state: where it leads, or that it is refused; repeating it changes nothing") {
  using Verb = Result<Rollout> (*)(store::Tx&, std::string const&, events::Deed const&);
  struct Named {
    std::string name;
    Verb verb;
  };
  std::vector<Named> const verbs{
      {"start", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return start(tx, id, d); }},
      {"approve", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return approve(tx, id, by_another(d)); }},
      {"pause", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return rollout::pause(tx, id, d); }},
      {"resume", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return resume(tx, id, d); }},
      {"abort", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return rollout::abort(tx, id, d); }},
      {"rollback", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return rollback(tx, id, d); }},
      {"retry", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return retry(tx, id, "", d); }},
      {"promote --full", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return promote(tx, id, {.full = true}, d); }},
      {"promote --stage 1", [](store::Tx& tx, std::string const& id, events::Deed const& d) { return promote(tx, id, {.stage = 1}, d); }},
  };
  // For each state, where each verb leads, in the order above; "-" is refused with wrong_state.
  struct Row {
    State from;
    std::vector<std::string> to;
  };
  std::vector<Row> const table{
      {State::draft, {"running", "draft", "-", "-", "aborted", "-", "-", "-", "-"}},
      {State::awaiting_approval, {"awaiting_approval", "running", "-", "-", "aborted", "rolling_back", "-", "awaiting_approval", "awaiting_approval"}},
      {State::running, {"running", "running", "paused", "running", "aborted", "rolling_back", "running", "awaiting_approval", "awaiting_approval"}},
      {State::paused, {"paused", "paused", "paused", "running", "aborted", "rolling_back", "paused", "-", "-"}},
      {State::completed, {"completed", "completed", "-", "-", "-", "rolling_back", "completed", "completed", "completed"}},
      {State::rolling_back, {"-", "-", "-", "-", "-", "rolling_back", "-", "-", "-"}},
      {State::rolled_back, {"-", "-", "-", "-", "-", "rolled_back", "-", "-", "-"}},
      {State::aborted, {"-", "-", "-", "-", "aborted", "rolling_back", "-", "-", "-"}},
  };
  for (auto const& row : table)
    for (std::size_t i = 0; i < verbs.size(); ++i) {
      VerbFixture f;
      auto const rollout = f.in_state(row.from);
      CAPTURE(to_string(row.from));
      CAPTURE(verbs[i].name);
      auto const done = f.act([&](store::Tx& tx) { return verbs[i].verb(tx, rollout.id, f.deed()); });
      if (row.to[i] == "-") {
        REQUIRE_FALSE(done.has_value());
        CHECK(done.error().code == "wrong_state");
        CHECK(f.get(rollout.id).revision == rollout.revision);
        continue;
      }
      REQUIRE_MESSAGE(done.has_value(), done.error().detail);
      CHECK(to_string(done->state) == row.to[i]);
      auto const before = f.get(rollout.id).revision;
      auto const audited = f.audit_count();
      auto const again = f.act([&](store::Tx& tx) { return verbs[i].verb(tx, rollout.id, f.deed()); });
      if (again.has_value()) CHECK(f.get(rollout.id).revision == before);
      else CHECK(again.error().code == "wrong_state");
      CHECK(f.audit_count() == audited);
    }
}

TEST_CASE("a verb on an unknown rollout is not found") {
  VerbFixture f;
  auto const done = f.act([&](store::Tx& tx) { return start(tx, "r_none", f.deed()); });
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().kind == Kind::not_found);
}

TEST_CASE("a rollout that may overlap a live one is refused, unless it comes after it or supersedes it") {
  VerbFixture f;
  auto const first = *f.make("1", kPlainPolicy);
  auto const refused = f.make("2", kPlainPolicy);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "rollout_overlaps");
  CHECK(f.make("2", kPlainPolicy, true, "", first.id).has_value());
  CHECK(f.make("3", kPlainPolicy, true, "", "", first.id).has_value() == false);  // the one that comes after is live, too
  VerbFixture g;
  auto const old = *g.make("1", kPlainPolicy);
  auto const newer = g.make("2", kPlainPolicy, true, "", "", old.id);
  REQUIRE_MESSAGE(newer.has_value(), newer.error().detail);
  CHECK(g.get(old.id).state == State::aborted);
  CHECK(newer->state == State::running);
}

TEST_CASE("selectors that cannot choose the same device do not conflict") {
  struct Case {
    std::string a, b;
    bool conflict;
  };
  for (auto const& c : {Case{"hardware=cam-a", "hardware=cam-b", false},
                        {"hardware=cam-a", "hardware in (cam-a,cam-c)", true},
                        {"site=north", "site!=north", false},
                        {"site=north", "!site", false},
                        {"site=north", "region=east", true},
                        {"", "hardware=cam-a", true},
                        {"running=reader@1", "running=reader@2", true},
                        {"hardware=cam-a,site=north", "site=south", false}}) {
    CAPTURE(c.a);
    CAPTURE(c.b);
    VerbFixture f;
    REQUIRE(f.make("1", kPlainPolicy, true, c.a).has_value());
    CHECK(f.make("2", kPlainPolicy, true, c.b).has_value() != c.conflict);
  }
}

TEST_CASE("a rollout after another takes its devices when that is completed, and pauses when that failed") {
  for (bool const succeeds : {true, false}) {
    VerbFixture f;
    auto const first = *f.make("1", kPlainPolicy);
    auto const second = *f.make("2", kPlainPolicy, true, "", first.id);
    f.steps(1);
    CHECK(f.count(second.id, "") == 0);
    if (!succeeds) REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, first.id, f.deed()); }));
    CHECK(f.reaches(second.id, succeeds ? State::completed : State::paused));
    CHECK(f.running_count("2") == (succeeds ? 20 : 0));
  }
}

TEST_CASE("a promotion that is sent twice skips the one stage that it names, and resumes no pause") {
  VerbFixture f;
  auto const id = f.make("1", R"({"stages":[{"percent":10,"bake":"1h"},{"percent":50,"bake":"1h"},{"percent":100,"bake":"1h"}]})")->id;
  auto const send = [&](int stage) { return f.act([&](store::Tx& tx) { return promote(tx, id, {.stage = stage}, f.deed()); }); };
  CHECK(send(1)->stage == 2);
  CHECK(send(1)->stage == 2);
  auto const ahead = send(3);
  REQUIRE_FALSE(ahead.has_value());
  CHECK(ahead.error().code == "wrong_stage");
  REQUIRE(f.act([&](store::Tx& tx) { return rollout::pause(tx, id, f.deed()); }));
  CHECK(send(1)->state == State::paused);  // said before the pause
  auto const paused = send(2);
  REQUIRE_FALSE(paused.has_value());
  CHECK(paused.error().code == "wrong_state");
  CHECK(f.get(id).stage == 2);
}

TEST_CASE("a rollout after another has no deadline until that one completed, and tells nobody anything even when it ended otherwise") {
  constexpr auto kDeadline = R"({"stages":[{"percent":100,"deadline":"25s"}],"on_deadline":"pause"})";
  for (bool const completes : {true, false}) {
    VerbFixture f;
    auto const first = *f.make("1", R"({"stages":[{"percent":100,"bake":"60s"}]})");
    auto const second = f.make("2", kDeadline, true, "", first.id)->id;
    auto const early = f.act([&](store::Tx& tx) { return promote(tx, second, {.stage = 1}, f.deed()); });
    REQUIRE_FALSE(early.has_value());
    CHECK(early.error().code == "waits_for_predecessor");
    f.steps(40);
    CHECK(f.get(second).state == State::running);
    CHECK_FALSE(f.get(second).deadline.has_value());
    if (completes) {
      CHECK(f.reaches(first.id, State::completed));
      CHECK(f.reaches(second, State::completed));
      continue;
    }
    REQUIRE(f.act([&](store::Tx& tx) { return rollout::abort(tx, first.id, f.deed()); }));
    CHECK_FALSE(f.decide(1).models[0].target.rollout == second);  // not before the judge has seen it, either
    CHECK(f.reaches(second, State::paused));
    CHECK(f.count(second, "") == 0);
    REQUIRE(f.act([&](store::Tx& tx) { return resume(tx, second, f.deed()); }));
    f.look();
    f.look();
    CHECK(f.get(second).deadline.has_value());
    CHECK(f.reaches(second, State::completed));
  }
}

TEST_CASE("which rollout completed last does not depend on the clock: one that was ahead by years for a while takes nobody back") {
  VerbFixture f;
  auto const right = f.clock.wall();
  f.clock.set_wall(right + std::chrono::hours{24 * 1000});
  CHECK(f.reaches(f.make("1", kPlainPolicy)->id, State::completed));
  f.clock.set_wall(right);
  for (auto const* version : {"2", "3"}) {
    auto const next = *f.make(version, kPlainPolicy);
    CHECK(f.reaches(next.id, State::completed));
    f.steps(2);
    CHECK(f.running_count(version) == 20);
  }
}

TEST_CASE("starting asks for an approved release") {
  VerbFixture f;
  f.add_release("4", {"cam-a"}, 0, "draft");
  auto const rollout = *f.make("4", kPlainPolicy, false);
  auto const started = f.act([&](store::Tx& tx) { return start(tx, rollout.id, f.deed()); });
  REQUIRE_FALSE(started.has_value());
  CHECK(started.error().code == "release_not_approved");
  f.sql({"test.approve", "UPDATE releases SET state = 'approved' WHERE version = '4'"});
  CHECK(f.act([&](store::Tx& tx) { return start(tx, rollout.id, f.deed()); })->state == State::running);
  f.sql({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE version = '4'"});
  CHECK(f.reaches(rollout.id, State::aborted));
  CHECK_FALSE(f.make("4", kPlainPolicy, false).has_value());
}

TEST_CASE("plan refuses on_harm rollback where a floor forbids the way back") {
  VerbFixture f;
  auto const first = *f.make("1", kPlainPolicy);
  REQUIRE(f.reaches(first.id, State::completed));
  f.add_release("9", {"cam-a", "cam-b"}, 3);
  auto const refused = f.make("9", kPlainPolicy);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "floor_forbids_return");
  CHECK(f.make("9", R"({"stages":[{"percent":100}],"on_harm":"pause"})").has_value());
}

TEST_CASE("approvals before the first and a later stage; one actor counts once") {
  VerbFixture f;
  auto const rollout = *f.make("1", R"({"stages":[{"percent":10},{"percent":100}],"approvals":{"required":2,"before_stage":1}})");
  CHECK(rollout.state == State::awaiting_approval);
  f.steps(1);
  CHECK(f.count(rollout.id, "") == 0);
  auto by = [&](std::string const& actor) {
    auto deed = f.deed();
    deed.actor = actor;
    return f.act([&](store::Tx& tx) { return approve(tx, rollout.id, deed); });
  };
  CHECK(by("token:ann")->state == State::awaiting_approval);
  CHECK(by("token:ann")->state == State::awaiting_approval);
  auto const own = by(rollout.created_by);
  REQUIRE(own.has_error());
  CHECK(own.error().code == "own_rollout");
  CHECK(by("token:bob")->state == State::running);
  CHECK(f.reaches(rollout.id, State::completed));
}

TEST_CASE("starting and promoting touch the rollout's row alone") {
  VerbFixture f;
  auto const rollout = *f.make("1", kPlainPolicy, false);
  auto const changes = [&](auto const& verb) {
    return std::stoi(*f.store->write_value<std::string>(store::Lane::verbs, [&](store::Tx& tx) -> Result<std::string> {
      auto const total = [&] {
        auto row = tx.prepare({"test.total", "SELECT total_changes()"});
        (void)row.step();
        return row.int64(0);
      };
      auto const before = total();
      FLEET_TRY(auto const done, verb(tx));
      (void)done;
      return std::to_string(total() - before);
    }));
  };
  CHECK(changes([&](store::Tx& tx) { return start(tx, rollout.id, f.deed()); }) <= 3);  // the row, its event and its audit entry
  CHECK(changes([&](store::Tx& tx) { return promote(tx, rollout.id, {.stage = 1}, f.deed()); }) <= 3);
}

TEST_CASE("unhold and retry raise the attempt of what failed or is held back, once") {
  VerbFixture f;
  auto const rollout = *f.make("1", kPlainPolicy);
  REQUIRE(f.reaches(rollout.id, State::completed));
  auto const let_go = [&] { return f.store->write_value<int>(store::Lane::verbs, [&](store::Tx& tx) { return unhold(tx, "cam-a-0", "reader", f.deed()); }); };
  auto const attempt = [&] { return f.decide(1).models[0].target.attempt; };
  auto const before = attempt();
  CHECK(*let_go() == 1);
  CHECK(attempt() == before);  // it holds nothing back
  f.sql({"test.hold", "UPDATE device_models SET waiting = 'held', attempt = ? WHERE device = 1"}, before);
  CHECK(*let_go() == 1);
  CHECK(*let_go() == 1);
  CHECK(attempt() == before + 1);
  CHECK_FALSE(f.store->write_value<int>(store::Lane::verbs, [&](store::Tx& tx) { return unhold(tx, "nobody", "", f.deed()); }).has_value());

  f.behaviour = [](auto const&, auto const&) { return Behaviour::fails_golden; };
  auto const failing = f.make("2", kPlainPolicy)->id;
  f.steps(4);
  auto const retried = f.act([&](store::Tx& tx) { return retry(tx, failing, "", f.deed()); });
  CHECK(retried->attempt == 2);
  CHECK(f.act([&](store::Tx& tx) { return retry(tx, failing, "", f.deed()); })->attempt == 2);
}

TEST_CASE("a rollout of the time before ladders is of all its devices, in each stage: nothing that was stored stops a server") {
  VerbFixture f;
  auto const rollout = *f.make("1", R"({"stages":[{"percent":10},{"percent":100}]})");
  REQUIRE(f.reaches(rollout.id, State::completed));
  f.sql({"test.without", "DELETE FROM rollout_ladders"});
  auto const ladder = load_ladder(f.store->reader(), f.get(rollout.id));
  REQUIRE(ladder.has_value());
  CHECK(ladder->stage_size == std::vector<int>{1, 1});
  CHECK(is_member(kEverybody - 1, ladder->threshold(1, "any")));
  CHECK(make_view(f.get(rollout.id), std::make_shared<Ladder const>(*ladder)).has_value());
}

TEST_CASE("an emergency says why, and the audit log says that it is one") {
  VerbFixture f;
  auto const emergency = R"({"stages":[{"percent":100}],"gates":{"failures":{}},"emergency":true})";
  auto const before = f.audit_count();
  auto const refused = f.make("1", emergency, false, "", "", "", "");
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == "reason_required");
  CHECK(f.audit_count() == before);
  REQUIRE(f.make("1", emergency, false, "", "", "", "a door that opens for everybody").has_value());
  CHECK(f.text({"test.loud", "SELECT count(*) FROM audit WHERE action = 'rollout.emergency'"}) == "1");
}
