#include "server/rollout/shell/places.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

std::string const kOneASite = R"({"stages":[{"percent":100}],"limits":{"per":"site"}})";

/// Three devices of site a (1 to 3), two of site b (4, 5), one that stands nowhere (6); all run release 1.
struct Sites : RolloutFixture {
  Sites() {
    for (auto const version : {"1", "2", "3"}) add_release(version, {"cam-a", "cam-b"});
    add_devices(3, "cam-a", R"({"site":"a"})");
    add_devices(2, "cam-b", R"({"site":"b"})");
    sql({"test.device", "INSERT INTO devices (n, id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (6, 'lone', 'cam-a', 'active', '{}', x'06', 0, 0)"});
    sql({"test.contact", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) VALUES (6, 0, 1, 1)"});
    devices = 6;
    REQUIRE(reaches(make("1", kPlainPolicy)->id, State::completed));
    behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  }
  int places(std::string const& site) { return std::stoi(text({"test.places", "SELECT count(*) FROM rollout_places WHERE value = ?"}, site)); }
  std::string why(std::int64_t n) {
    auto const decision = decide(n);
    std::string out;
    for (auto const& one : decision.models[0].because) out = one.code == "place_taken" ? one.code : out;
    return out;
  }
  /// The device's own word on what it was told last.
  void says(std::int64_t n, std::string const& state, std::string const& runs, std::string const& error = "") { report(n, decide(n).models[0], state, runs, error); }
  void leave(std::int64_t n, Leaving how) {
    REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return engine->left(tx, n, how, clock.wall()); }));
  }
  std::uint32_t epoch(std::int64_t n) { return store->epochs().device(n); }
};

}  // namespace

TEST_CASE("one device a site is told at one time; the next when it has committed, and who waits is woken; who has not the label waits for nobody") {
  Sites f;
  auto const id = f.make("2", kOneASite)->id;
  for (std::int64_t n = 1; n <= 6; ++n) f.poll(n);
  CHECK(f.places("a") == 1);
  CHECK(f.places("b") == 1);
  for (std::int64_t const told : {1, 4, 6}) CHECK(f.state_of(id, told) == "testing");
  for (std::int64_t const waits : {2, 3, 5}) {
    CHECK(f.why(waits) == "place_taken");
    CHECK(f.state_of(id, waits).empty());
  }
  CHECK(f.decide(2).models[0].because[0].text.find("site=a") != std::string::npos);
  CHECK(f.decide(2).valid_until <= f.clock.wall() + kPlaceStands);
  f.clock.advance(Millis{1'000});
  f.look();
  CHECK(explain_json(f.store->reader(), f.get(id))->find("all places are taken") != std::string::npos);
  auto const before = f.epoch(2), elsewhere = f.epoch(5);
  f.says(1, "probation", "2");
  CHECK(f.places("a") == 1);
  CHECK(f.epoch(2) == before);
  f.says(1, "committed", "2");
  CHECK(f.places("a") == 0);
  CHECK(f.epoch(2) != before);
  CHECK(f.epoch(5) == elsewhere);
  f.poll(2);
  f.poll(3);
  CHECK(f.state_of(id, 2) == "testing");
  CHECK(f.why(3) == "place_taken");
}

TEST_CASE("who fails after its switch keeps its place until it is back; before it, until it says so") {
  Sites f;
  f.make("2", kOneASite);
  f.poll(1);
  auto const told = f.decide(1).models[0];
  f.says(1, "probation", "2");
  f.says(1, "rolling_back", "2", "health_failed");
  CHECK(f.places("a") == 1);
  f.poll(2);
  CHECK(f.why(2) == "place_taken");
  f.report(1, told, "rolled_back", "1", "health_failed");
  CHECK(f.places("a") == 0);
  f.poll(2);
  CHECK(f.places("a") == 1);
  f.says(2, "failed", "1", "golden_mismatch");
  CHECK(f.places("a") == 0);
}

TEST_CASE("a device that died in between holds its site up until it is silent, and no longer, whatever became of its rollout") {
  for (bool const ended : {false, true}) {
    CAPTURE(ended);
    Sites f;
    auto const id = f.make("2", kOneASite)->id;
    f.poll(1);
    f.says(1, "probation", "2");
    f.offline = {1};
    if (ended) REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, id, f.deed()); }));
    f.pace = std::chrono::minutes{1};
    auto const holder = [&] { return f.text({"test.holder", "SELECT coalesce(min(device), 0) FROM rollout_places WHERE value = 'a'"}); };
    f.steps(2);
    CHECK(holder() == "1");
    for (int i = 0; i < 90 && holder() == "1"; ++i) f.step();
    f.step();
    CHECK(holder() == (ended ? "0" : "2"));
    if (!ended) CHECK(f.state_of(id, 1) == "silent");
  }
}

TEST_CASE("an order that was withdrawn holds its place until the device has acknowledged that") {
  Sites f;
  auto const id = f.make("2", kOneASite)->id;
  f.poll(1);
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, id, f.deed()); }));
  f.look();
  CHECK(f.decide(1).gave_up);
  f.make("3", kOneASite);
  CHECK(f.why(2) == "place_taken");
  // It joins the newer rollout itself: its own place is no hindrance.
  f.poll(1);
  CHECK_FALSE(f.decide(1).gave_up);
  CHECK(f.places("a") == 1);
  CHECK(f.why(2) == "place_taken");
}

TEST_CASE("a withdrawn order frees its place only where the device is not at it") {
  Sites f;
  auto const id = f.make("2", kOneASite)->id;
  f.poll(1);
  REQUIRE(f.act([&](store::Tx& tx) { return abort(tx, id, f.deed()); }));
  auto const tell = [&](std::string const& state) {
    ModelStatuses told;
    told["reader"] = {.digest = "", .version = "1", .state = state, .rollout = id, .attempt = 1, .waiting = ""};
    auto const decision = f.decide(1);
    REQUIRE(f.store->write_wait(store::Lane::devices, [&](store::Tx& tx) { return f.engine->withdrawn(tx, 1, told, decision); }));
  };
  tell("switching");
  CHECK(f.places("a") == 1);
  tell("idle");
  CHECK(f.places("a") == 0);
  CHECK_FALSE(f.decide(1).gave_up);
}

TEST_CASE("who is relabelled holds its place where it stands now; who leaves holds none") {
  Sites f;
  f.make("2", kOneASite);
  f.poll(1);
  f.poll(4);
  f.poll(2);
  auto const asked = f.epoch(2);
  f.sql({"test.move", "UPDATE devices SET labels = '{\"site\":\"b\"}' WHERE n = 1"});
  f.leave(1, Leaving::relabelled);
  CHECK(f.places("a") == 0);
  CHECK(f.epoch(2) > asked);  // its turn has come
  CHECK(f.places("b") == 2);
  f.says(4, "committed", "2");
  CHECK(f.why(5) == "place_taken");
  auto const waited = f.epoch(5);
  f.leave(1, Leaving::wholly);
  CHECK(f.places("b") == 0);
  CHECK(f.epoch(5) > waited);
  f.poll(5);
  CHECK(f.places("b") == 1);
  f.sql({"test.move", "UPDATE devices SET labels = '{}' WHERE n = 5"});
  f.leave(5, Leaving::relabelled);
  CHECK(f.places("b") == 0);
}

TEST_CASE("two rollouts share the places of a site, each by its own number, also over a restart and after completion") {
  Sites f;
  auto const one = f.make("2", kOneASite, true, "hardware=cam-a")->id;
  f.sql({"test.move", "UPDATE devices SET labels = '{\"site\":\"a\"}' WHERE n IN (4, 5)"});
  auto const two = f.make("3", R"({"stages":[{"percent":100}],"limits":{"per":"site","at_once":2}})", true, "hardware=cam-b")->id;
  f.poll(1);
  f.engine = *Engine::create(f.services);
  f.poll(2);
  f.poll(4);
  f.poll(5);
  CHECK(f.why(2) == "place_taken");
  CHECK(f.state_of(two, 4) == "testing");
  CHECK(f.why(5) == "place_taken");
  REQUIRE(f.act([&](store::Tx& tx) { return promote(tx, one, {1, false}, f.deed()); }));
  REQUIRE(f.get(one).state == State::completed);
  f.poll(2);
  CHECK(f.why(2) == "place_taken");  // a place is the device's, whatever became of the rollout
  f.says(1, "committed", "2");
  f.says(4, "committed", "3");
  f.poll(2);
  CHECK(f.state_of(one, 2) == "testing");
}

TEST_CASE("a stage waits for those of its devices that wait for a place, and completes") {
  Sites f;
  f.behaviour = [](auto const&, auto const&) { return Behaviour::works; };
  auto const id = f.make("2", R"({"stages":[{"percent":50},{"percent":100}],"limits":{"per":"site"}})")->id;
  REQUIRE(f.reaches(id, State::completed));
  CHECK(f.count(id, "healthy") == 6);
  CHECK(f.places("a") + f.places("b") == 0);
}

TEST_CASE("controls prove beside a canary of their site: they take no place") {
  Sites f;
  auto const id = f.make("2", R"({"stages":[{"devices":1},{"percent":100}],"strata":[],"gates":{"failures":{}},"limits":{"per":"site"}})")->id;
  for (std::int64_t n = 1; n <= 6; ++n) f.poll(n);
  CHECK(f.count(id, "", "control") == 5);
  CHECK(f.places("a") + f.places("b") <= 1);
}
