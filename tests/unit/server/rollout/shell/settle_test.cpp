#include "server/rollout/shell/settle.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;
using fleet::rollout::test::RolloutFixture;

namespace {

/// A running rollout that told 2,500 devices: the first half switched, the rest downloads.
struct LargeRollout : RolloutFixture {
  std::string id;

  LargeRollout() {
    add_release("1", {"cam"});
    add_release("2", {"cam"});
    add_devices(1, "cam");
    id = make("2", fleet::rollout::test::kPlainPolicy)->id;
    for (auto const* const text :
         {"WITH RECURSIVE k(n) AS (VALUES (2) UNION ALL SELECT n + 1 FROM k WHERE n < 2500) INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, "
          "created_at) SELECT n, 'cam-x' || n, 'cam', 'active', CAST(n AS BLOB), 0, 0 FROM k",
          "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, exposed, attempt, dispatched_at, since, silent_at) "
          "SELECT 1, n, 1, '', CASE WHEN n <= 1250 THEN 'healthy' ELSE 'downloading' END, n <= 1250, 1, 0, 0, 9000000000000 FROM devices",
          "INSERT INTO device_models (device, model, running, since) SELECT n, 'reader', CASE WHEN n <= 1250 AND n % 2 = 0 THEN '2' ELSE '1' END, 0 FROM devices"})
      sql({"test.large", text});
  }
  [[nodiscard]] std::string counted() {
    return text({"test.counted", "SELECT group_concat(state || exposed || '=' || devices, ' ') FROM (SELECT state, exposed, devices FROM rollout_counts WHERE "
                                 "devices > 0 ORDER BY state, exposed)"});
  }
};

}  // namespace

TEST_CASE_FIXTURE(LargeRollout, "an abort's own transaction touches a bounded number of rows; the rest follows in pieces and survives a restart") {
  auto const aborted = act([&](store::Tx& tx) { return abort(tx, id, deed()); });
  REQUIRE(aborted);
  CHECK(aborted->state == State::aborted);
  CHECK(counted() == "downloading0=1250 healthy1=1250");  // the first thousand had switched
  CHECK(settle_more(*store, clock.wall()).value());
  CHECK(counted() == "downloading0=500 dropped0=750 healthy1=1250");
  CHECK(!settle_more(*store, clock.wall()).value());
  CHECK(counted() == "dropped0=1250 healthy1=1250");
  CHECK(!settle_more(*store, clock.wall()).value());
}

TEST_CASE_FIXTURE(LargeRollout, "a rollback counts those that returned already, piece by piece, by the judge's own rounds") {
  REQUIRE(act([&](store::Tx& tx) { return rollback(tx, id, deed()); }));
  CHECK(counted() == "downloading0=1250 healthy1=750 reverted1=500");
  look();
  CHECK(counted() == "dropped0=1250 healthy1=625 reverted1=625");
}

TEST_CASE_FIXTURE(LargeRollout, "a rollback of an aborted rollout begins anew with the first row") {
  REQUIRE(act([&](store::Tx& tx) { return abort(tx, id, deed()); }));
  REQUIRE(settle_more(*store, clock.wall()));
  REQUIRE(act([&](store::Tx& tx) { return rollback(tx, id, deed()); }));
  while (settle_more(*store, clock.wall()).value()) {
  }
  CHECK(counted() == "dropped0=1250 healthy1=625 reverted1=625");
}

TEST_CASE("who ran the release when it was told has nothing to return to: a rollback is done with it at once, and it keeps what it runs") {
  for (bool const told_meanwhile : {false, true}) {
    CAPTURE(told_meanwhile);
    RolloutFixture f;
    for (auto const version : {"1", "2"}) f.add_release(version, {"cam"});
    f.add_devices(10, "cam");
    REQUIRE(f.reaches(f.make("1", fleet::rollout::test::kPlainPolicy)->id, State::completed));
    REQUIRE(f.reaches(f.make("2", fleet::rollout::test::kPlainPolicy)->id, State::completed));
    auto const again = f.make("2", fleet::rollout::test::kPlainPolicy)->id;
    REQUIRE(f.reaches(again, State::completed));
    for (int n = 1; n <= 10; ++n)
      if (told_meanwhile || n <= 5) f.report(n, f.decide(n).models[0], "committed", "2");  // what an agent says of an order that it holds already
    auto const told = f.decide(10).models[0];
    REQUIRE(told.target.rollout == again);
    REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, again, f.deed()); }));
    f.report(10, told, "committed", "2");  // late
    f.look();
    CHECK(f.get(again).state == State::rolled_back);
    CHECK(f.count(again, "reverted") == 10);
    f.steps(2);
    CHECK(f.running_count("2") == 10);
    CHECK(f.decide(1).models[0].target.action == wire::Action::install);
    CHECK(f.decide(1).models[0].version == "2");
    CHECK(f.text({"test.in_snapshot", "SELECT count(*) FROM rollout_counts WHERE rollout = 3 AND exposed = 1 AND state <> 'reverted' AND devices > 0"}) == "0");
    CHECK(f.make("1", fleet::rollout::test::kPlainPolicy));  // nothing holds the model
  }
}
