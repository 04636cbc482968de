#include "server/rollout/shell/quiet_rows.hpp"
#include "server/rollout/shell/series.hpp"
#include "server/rollout/shell/snapshot_rows.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <future>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

struct Twenty : RolloutFixture {
  Twenty() {
    for (auto const version : {"1", "2", "3"}) add_release(version, {"cam-a"});
    add_devices(20, "cam-a");
    auto const first = make("1", kPlainPolicy);
    REQUIRE_MESSAGE(first, first.error().detail);
    REQUIRE(reaches(first->id, State::completed));
  }
  std::vector<std::int64_t> with_reason(std::string const& code) {
    std::vector<std::int64_t> out;
    for (std::int64_t n = 1; n <= devices; ++n)
      if (auto const because = decide(n).models[0].because; !because.empty() && because[0].code == code) out.push_back(n);
    return out;
  }
};

std::string const kWithHoldback = R"({"stages":[{"percent":50},{"percent":100}],"holdback":"10%"})";

}  // namespace

TEST_CASE("a holdback keeps its version until the rollout has completed, then follows; it shows as an arm of its own") {
  Twenty f;
  auto const rollout = *f.make("2", kWithHoldback);
  auto const held = f.with_reason("held_back");
  REQUIRE(held.size() == 2);
  std::set<int> most;
  for (int i = 0; i < 120 && f.get(rollout.id).state != State::completed; ++i) {
    most.insert(f.running_count("2"));
    f.step();
  }
  REQUIRE(f.get(rollout.id).state == State::completed);
  CHECK(*most.rbegin() <= 18);
  auto const shown = *rollout_json(f.store->reader(), f.get(rollout.id));
  CHECK(shown.find(R"("holdback":2)") != std::string::npos);
  f.steps(2);
  CHECK(f.running_count("2") == 20);
  std::string listed;
  auto const page = *list_rollout_devices(f.store->reader(), f.get(rollout.id), "", 0, 0, 100);
  for (auto const& item : page.items) listed += item + "\n";
  std::size_t arms = 0;
  for (auto at = listed.find(R"("arm":"holdback")"); at != std::string::npos; at = listed.find(R"("arm":"holdback")", at + 1)) ++arms;
  CHECK(arms == 2);
}

TEST_CASE("a release that is taken back was never seen by the holdback") {
  Twenty f;
  auto const rollout =
      *f.make("3", R"({"stages":[{"percent":100}],"holdback":"10%","gates":{"absolute":[{"metric":"agent.install_failure","devices_max":"2%"}]}})");
  auto const held = f.with_reason("held_back");
  f.behaviour = [](auto const&, std::string const& version) { return version == "3" ? Behaviour::fails_probation : Behaviour::works; };
  REQUIRE(f.reaches(rollout.id, State::rolled_back));
  f.steps(3);
  for (auto const n : held) CHECK(f.state_of(rollout.id, n).empty());
  CHECK(f.running_count("1") == 20);
}

TEST_CASE("egress paces how fast devices are told by the bytes they fetch") {
  Twenty f;  // a variant is 5 bytes
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"limits":{"egress":"5B/s"}})");
  f.poll(1);
  f.poll(2);
  CHECK(f.count(rollout.id, "") == 1);
  CHECK(f.decide(2).models[0].because[0].code == "egress");
  CHECK(f.decide(2).valid_until <= f.clock.wall() + seconds(5));
  f.clock.advance(Millis{1'000});
  f.poll(2);
  f.poll(3);
  CHECK(f.count(rollout.id, "") == 2);
  REQUIRE(f.reaches(rollout.id, State::completed));
  CHECK(f.running_count("2") == 20);
}

TEST_CASE("a limit counts who was told while the judge looks once, whatever of it is committed when") {
  Twenty f;
  f.steps(2);  // what is written once an hour is
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"limits":{"in_flight":2}})");
  std::promise<void> told, go_on;
  auto const facts = *registry::load_device_facts(f.store->reader(), 1);
  auto const decision = f.decide(1);
  std::promise<Result<void>> done;
  auto const dispatch = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(f.engine->dispatched(tx, facts, decision, f.clock.wall()));
    told.set_value();
    go_on.get_future().wait();
    return {};
  };
  f.store->write(store::Lane::devices, dispatch, [&](Result<void> const& written) { done.set_value(written); });
  told.get_future().wait();
  auto looked = std::async(std::launch::async, [&] { return f.engine->look(); });
  auto const upkeep = static_cast<std::size_t>(store::Lane::upkeep);
  bool waits = false;
  while (!waits && looked.wait_for(Millis{1}) != std::future_status::ready) waits = f.store->lanes()[upkeep].waiting == 1;
  CHECK_MESSAGE(waits, "what the judge corrects waits for who is being told");
  go_on.set_value();
  REQUIRE(looked.get());
  REQUIRE(done.get_future().get());
  CHECK(f.decide(2).models[0].joins);
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  f.poll(2);
  CHECK_MESSAGE(f.decide(3).models[0].because[0].code == "in_flight", "two are at work");
  CHECK(f.count(rollout.id, "") == 2);
}

TEST_CASE("of an egress that nobody used ten seconds are kept, so that devices that ask at one moment are told at one moment") {
  Twenty f;  // a variant is 5 bytes
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"limits":{"egress":"5B/s"}})");
  for (int device = 1; device <= 20; ++device) f.poll(device);
  CHECK_MESSAGE(f.count(rollout.id, "") == 1, "at first there is nothing to keep");
  f.clock.advance(Millis{4'000});
  for (int device = 1; device <= 20; ++device) f.poll(device);
  CHECK(f.count(rollout.id, "") == 5);
  f.clock.advance(Millis{30'000});
  for (int device = 1; device <= 20; ++device) f.poll(device);
  CHECK(f.count(rollout.id, "") == 16);
}

TEST_CASE("a hold that its owner lifted on the device is directed again, and audited as the device's") {
  Twenty f;
  auto const rollout = *f.make("2", kPlainPolicy);
  REQUIRE(f.reaches(rollout.id, State::completed));
  auto const told = f.decide(1).models[0];
  f.report(1, told, "rolled_back", "1", "rolled_back_by_owner");
  CHECK(f.decide(1).models[0].version == "1");
  f.report(1, told, "rolled_back", "1", std::string(wire::kUnheld));
  auto const again = f.decide(1).models[0];
  CHECK(again.version == "2");
  CHECK(again.target.attempt == told.target.attempt + 1);
  CHECK(f.text({"test.audit", "SELECT actor FROM audit WHERE action = 'device.unheld'"}) == "device:cam-a-0");
  f.steps(2);
  CHECK(f.running(1) == "2");
}

TEST_CASE("who waits or still fetches is not silent, however long, while it is heard; one that started and comes to nothing is") {
  Twenty f;
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"gates":{"silent":{"after_reports":3}}})");
  auto const told_waiting = f.decide(1).models[0], told_testing = f.decide(2).models[0], told_fetching = f.decide(3).models[0];
  for (std::int64_t n : {1, 2, 3}) {
    auto const facts = *registry::load_device_facts(f.store->reader(), n);
    auto const decision = f.decide(n);
    REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return f.engine->dispatched(tx, facts, decision, f.clock.wall()); }));
  }
  f.report(1, told_waiting, "downloading", "1");
  f.report(2, told_testing, "testing", "1");
  f.report(3, told_fetching, "downloading", "1");
  f.pace = std::chrono::minutes(1);
  f.sql({"test.wait", "UPDATE device_models SET waiting = 'window' WHERE device = 1"});
  for (int minute = 0; minute < 120; ++minute) {
    for (std::int64_t n = 1; n <= f.devices; ++n) f.hear(n);
    f.clock.advance(std::chrono::minutes(1));
    f.look();
  }
  CHECK(f.state_of(rollout.id, 1) == "downloading");
  CHECK(f.state_of(rollout.id, 2) == "silent");
  CHECK(f.state_of(rollout.id, 3) == "downloading");
}

TEST_CASE("a fleet that fell silent is found so in pieces: so many rows a look, and no report waits for more than one job of them") {
  Twenty f;
  auto const rollout = *f.make("2", R"({"stages":[{"percent":100}],"gates":{"silent":{}}})");
  constexpr std::size_t kRows = 1'500;
  static_assert(kQuietAPiece <= 200 && kRows > 5 * kQuietAPiece);
  f.sql({"test.fleet", "WITH RECURSIVE k (n) AS (VALUES (1001) UNION ALL SELECT n + 1 FROM k WHERE n < 1000 + ?1) "
                       "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) SELECT n, 'd' || n, 'rpi4', 'active', CAST(n AS BLOB), 0, 0 FROM k"},
        static_cast<std::int64_t>(kRows));
  f.sql({"test.rows", "INSERT INTO rollout_devices (rollout, device, stage, stratum, state, attempt, dispatched_at, since, silent_at, in_window, told_s, started_s) "
                      "SELECT ?1, n, 1, '-', 'probation', 1, 0, 0, 0, 1, 1, 1 FROM devices WHERE n > 1000"},
        rollout.n);
  f.clock.advance(std::chrono::hours(3));
  f.look();
  CHECK(f.count(rollout.id, "probation") == kRows - 5 * kQuietAPiece);
  f.look();  // at once: no second passes
  CHECK(f.count(rollout.id, "probation") == 0);
}

TEST_CASE("the series tells how a rollout went: counts never fall, each stage is there, the end is the last point") {
  Twenty f;
  auto const rollout =
      *f.make("2", R"({"stages":[{"percent":10,"bake":"20s"},{"percent":100,"bake":"20s"}],"gates":{"certify":{"devices_max":["97%","60%"]}}})");
  REQUIRE(f.reaches(rollout.id, State::completed));
  auto const series = boost::json::parse(*series_json(f.store->reader(), f.get(rollout.id)));
  auto const& points = series.at("points").as_array();
  REQUIRE(points.size() >= 3);
  std::int64_t healthy = 0;
  std::set<std::int64_t> stages;
  for (auto const& point : points) {
    CHECK(point.at("healthy").to_number<std::int64_t>() >= healthy);
    healthy = point.at("healthy").to_number<std::int64_t>();
    stages.insert(point.at("stage").to_number<std::int64_t>());
    CHECK(point.at("gates").as_array().size() >= 1);
  }
  CHECK(healthy == 20);
  CHECK(stages == std::set<std::int64_t>{1, 2});
  Millis age{0};
  int most = 0;
  for (; age < std::chrono::hours(24 * 366); age += point_spacing(age)) ++most;
  CHECK(most < 3'000);
}

TEST_CASE("a long history stays out of the snapshot: the newest eight of a selector, whatever is live, and what is not taken back yet") {
  Twenty f;
  auto const bad = *f.make("3", kPlainPolicy, true, "id=cam-a-0");
  REQUIRE(f.reaches(bad.id, State::completed));
  f.offline.insert(1);
  REQUIRE(f.act([&](store::Tx& tx) { return rollback(tx, bad.id, f.deed()); }));
  f.clock.advance(std::chrono::hours(1));
  f.steps(2);
  for (int i = 0; i < 12; ++i) {
    auto const rollout = *f.make(i % 2 == 0 ? "2" : "1", kPlainPolicy, true, "id!=cam-a-0");
    REQUIRE(f.reaches(rollout.id, State::completed));
  }
  auto const site = *f.make("2", kPlainPolicy, true, "id=cam-a-5");
  REQUIRE(f.reaches(site.id, State::completed));
  auto const live = *f.make("2", R"({"stages":[{"percent":100,"bake":"10h"}]})", true, "id!=cam-a-0");
  auto const snapshot = *load_snapshot(f.store->reader(), 1, nullptr);
  CHECK(snapshot->by_n.size() == 1 + 1 + 8 + 1 + 1);  // the first of all, the one to take back, eight, the site's, the live one
  CHECK(snapshot->by_id.contains(bad.id));
  CHECK(snapshot->by_id.contains(site.id));
  CHECK(snapshot->by_id.contains(live.id));
}

TEST_CASE("ten devices that become three hundred in the last stage are not told at once: a window at a time, then as fast as they prove healthy") {
  RolloutFixture f;
  for (auto const version : {"1", "2"}) f.add_release(version, {"cam"});
  f.add_devices(10, "cam");
  REQUIRE(f.reaches((*f.make("1", kPlainPolicy)).id, State::completed));
  auto const rollout = *f.make("2", R"({"stages":[{"percent":50,"bake":"1s"},{"percent":100,"bake":"1h","deadline":"2h"}],"gates":{"failures":{}}})");
  for (int i = 0; i < 60 && f.count(rollout.id, "healthy") < 10; ++i) f.step();
  REQUIRE(f.get(rollout.id).stage == 2);
  REQUIRE(f.count(rollout.id, "healthy") == 10);
  for (int n = 11; n <= 300; ++n) {
    ++f.devices;
    auto const id = "late-" + std::to_string(n);
    f.sql({"test.late", "INSERT INTO devices (n, id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?, ?, 'cam', 'active', '{}', ?, 0, 0)"}, n, id,
          crypto::sha256(id));
    f.sql({"test.contact", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) VALUES (?, 0, 1, 1)"}, n);
  }
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  f.steps(3);
  CHECK(f.count(rollout.id, "") == 15);
  int waiting = 0;
  for (int n = 11; n <= 300; ++n) {
    auto const decision = f.decide(n);
    for (auto const& because : decision.models[0].because) waiting += because.code == "beyond_plan";
  }
  CHECK(waiting == 285);
  // They come to an outcome: the next ones follow, half as many as are healthy by then.
  for (int n = 11; n <= 300; ++n)
    if (f.state_of(rollout.id, n) == "testing") f.report(n, f.decide(n).models[0], "committed", "2");
  f.steps(2);
  CHECK(f.count(rollout.id, "") > 15);
  CHECK(f.count(rollout.id, "") <= 15 + 8);
  CHECK(f.get(rollout.id).state == State::running);
}
