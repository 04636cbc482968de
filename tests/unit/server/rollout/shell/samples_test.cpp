#include "server/rollout/shell/gathered.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

/// Devices that run release 1; a canary of four, all others beside it.
struct Sampled : RolloutFixture {
  explicit Sampled(int count = 40) {
    for (auto const version : {"1", "2", "3"}) add_release(version, {"cam"});
    add_devices(count, "cam");
    auto const first = make("1", kPlainPolicy);
    REQUIRE(reaches(first->id, State::completed));
  }
  MetricTally tally(std::string const& id) {
    Facts facts;
    auto const rollout = get(id);
    REQUIRE(read_metrics(store->reader(), rollout, facts));
    return facts.metrics.at(0);
  }
  std::string kept() {
    return text({"test.kept", "SELECT coalesce(group_concat(k, ' '), '') FROM (SELECT rollout || metric || arm || class || healthy || '=' || devices AS k FROM rollout_metric_counts "
                              "WHERE devices > 0 ORDER BY 1)"});
  }
  std::string counted() {
    return text({"test.counted", "SELECT coalesce(group_concat(k, ' '), '') FROM (SELECT rollout || metric || arm || class || healthy || '=' || count(*) AS k FROM rollout_samples "
                                 "GROUP BY rollout, metric, arm, class, healthy ORDER BY 1)"});
  }
  std::int64_t canary(std::string const& id, std::string const& arm = "canary") {
    return std::stoll(text({"test.one", "SELECT min(d.device) FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout WHERE r.id = ? AND d.arm = ?"}, id, arm));
  }
};

std::string const kGated = R"({"stages":[{"devices":4,"bake":"10h"},{"devices":20},{"percent":100}],"gates":{"failures":{},
  "absolute":[{"metric":"accuracy","min":0.9,"block":"1s","blocks":8,"samples":40,"devices_max":"2%"}]}})";

}  // namespace

TEST_CASE("what canaries and controls measure is counted where it is written, each for its arm") {
  Sampled f;
  auto const id = f.make("2", kGated)->id;
  f.steps(2);
  auto const tally = f.tally(id);
  CHECK(tally.seen == 4);
  CHECK(tally.covered == 4);
  CHECK(tally.control_seen == 36);
  CHECK(tally.bad + tally.control_bad == 0);
  CHECK(tally.aged[2].canary.devices == 4);
  CHECK(tally.aged[2].control.devices == 36);
  CHECK_FALSE(f.kept().empty());
  CHECK(f.kept() == f.counted());
}

TEST_CASE("a release that measures badly is taken back from its canary, by each device's own sequence; where all devices always did, nobody is") {
  for (bool const all : {false, true}) {
    CAPTURE(all);
    Sampled f;
    f.behaviour = [all](auto const&, std::string const& version) { return all || version == "2" ? Behaviour::inaccurate : Behaviour::works; };
    auto const id = f.make("2", kGated)->id;
    f.steps(4);
    CHECK(f.tally(id).bad == 4);
    CHECK(f.tally(id).control_bad == (all ? 36 : 0));
    CHECK(f.reaches(id, all ? State::paused : State::rolled_back));
    CHECK(f.running_count("2") == (all ? 4 : 0));
    CHECK(f.kept() == f.counted());
  }
}

TEST_CASE("a control that becomes a canary begins anew, and one that proves again goes on") {
  Sampled f;
  auto const id = f.make("2", R"({"stages":[{"devices":4},{"devices":8},{"percent":100,"bake":"10h"}],"control":{"per_canary":3},"gates":{"failures":{},
    "absolute":[{"metric":"accuracy","min":0.9,"block":"1s","blocks":8,"samples":40,"devices_max":"2%"}]}})")->id;
  f.steps(1);
  CHECK(f.tally(id).seen == 4);
  CHECK(f.tally(id).control_seen == 12);
  for (int i = 0; i < 20 && f.tally(id).seen < 8; ++i) f.steps(1);
  CHECK(f.tally(id).seen == 8);
  CHECK(f.kept() == f.counted());
  for (int i = 0; i < 20 && f.tally(id).seen < 40; ++i) f.steps(1);
  CHECK(f.tally(id).seen == 40);
  CHECK(f.tally(id).control_seen == 0);
  CHECK(f.kept() == f.counted());
}

TEST_CASE("samples of another release, of before the switch, or without a gate leave nothing") {
  Sampled f;
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  auto const id = f.make("2", kGated)->id;
  f.steps(2);
  auto const canary = f.canary(id), control = f.canary(id, "control");
  f.measure(canary, "1", .1);
  f.measure(canary, "2", .1);  // it has not switched
  f.measure(control, "2", .1);
  f.measure(control, "3", .1);
  CHECK(f.tally(id).seen + f.tally(id).control_seen == 0);
  f.measure(control, "1", .97);
  CHECK(f.tally(id).control_seen == 1);
  CHECK(f.kept() == f.counted());

  Sampled plain;
  auto const ungated = plain.make("2", R"({"stages":[{"percent":100}],"gates":{"failures":{}}})")->id;
  CHECK(plain.reaches(ungated, State::completed));
  CHECK(plain.kept().empty());
}

TEST_CASE("a sensor that is flagged is no evidence: what else it says takes no release back, and lets none pass") {
  Sampled f;
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  auto const id = f.make("2", kGated)->id;
  f.steps(1);
  auto const one = f.canary(id);
  Desired desired;
  desired.version = "2";
  desired.target.rollout = id;
  desired.target.attempt = 1;
  f.report(one, desired, "committed", "2");
  f.measure(one, "2", .1, 60, 10, {{0, 60, 0, 0}});
  auto const tally = f.tally(id);
  CHECK(tally.heard == 1);
  CHECK(tally.flagged == 1);
  CHECK(tally.bad + tally.seen + tally.covered == 0);
  CHECK(f.kept() == f.counted());
  f.measure(one, "2", .1, 600, 10, {{0, 1, 0, 0}});
  CHECK_MESSAGE(f.tally(id).seen == 1, "a sample now and then is no broken sensor");
  CHECK(f.kept() == f.counted());
}

TEST_CASE("who is healthy is covered, by the samples that it sent before") {
  Sampled f;
  f.behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  auto const id = f.make("2", kGated)->id;
  f.steps(1);
  auto const one = f.canary(id);
  Desired desired;
  desired.version = "2";
  desired.target.rollout = id;
  desired.target.attempt = 1;
  f.report(one, desired, "probation", "2");
  f.measure(one, "2", .97);
  CHECK(f.tally(id).seen == 1);
  CHECK(f.tally(id).covered == 0);
  f.report(one, desired, "committed", "2");
  CHECK(f.tally(id).covered == 1);
  CHECK(f.kept() == f.counted());
}

TEST_CASE("a device that is tried again begins anew, and one whose clock is ahead closes no block of ours") {
  Sampled f;
  auto const id = f.make("2", kGated)->id;
  f.steps(1);
  auto const one = f.canary(id);
  f.measure(one, "2", .97, 60, 1);
  auto const before = f.text({"test.samples", "SELECT samples FROM rollout_samples WHERE device = ? AND metric = 'accuracy'"}, one);
  wire::MetricsItem item;
  item.model = "reader";
  item.digest = f.digest("2").hex();
  item.until = f.clock.wall() + std::chrono::days(400);
  item.metrics.push_back({"accuracy", "d", 10, 9.7, 0, 1, {}});
  REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) {
    return f.engine->on_metrics(tx, *registry::load_device_facts(tx.connection(), one), item, f.clock.wall());
  }));
  auto const after = *decode_samples(f.text({"test.samples", "SELECT samples FROM rollout_samples WHERE device = ? AND metric = 'accuracy'"}, one));
  CHECK(after.block == decode_samples(before)->block);
  CHECK(after.count == decode_samples(before)->count + 10);
  f.sql({"test.failed", "UPDATE rollout_devices SET state = 'failed', outcome = 'failed' WHERE device = ?"}, one);
  REQUIRE(f.act([&](store::Tx& tx) { return retry(tx, id, f.text({"test.id", "SELECT id FROM devices WHERE n = ?"}, one), f.deed()); }));
  CHECK(f.text({"test.rows", "SELECT count(*) FROM rollout_samples WHERE device = ?"}, one) != "0");  // a retry takes no evidence away
  CHECK(f.tally(id).seen == 4);
  CHECK(f.kept() == f.counted());
}

TEST_CASE("what canaries measure is compared with their own controls when their window is judged: worse than these is taken back, drift pauses") {
  struct Case {
    std::string gate, name;
    State bad;
  };
  for (auto const& c : {Case{R"("metrics":[{"name":"accuracy","worse":"lower"}])", "metrics accuracy", State::rolled_back},
                        Case{R"("metrics":[{"name":"accuracy","worse":"lower","quantile":0.05,"margin":"5%"}])", "metrics accuracy p5", State::rolled_back},
                        Case{R"("drift":{"metrics":["accuracy"]})", "drift accuracy", State::paused}})
    for (bool const harm : {false, true}) {
      CAPTURE(c.gate);
      CAPTURE(harm);
      Sampled f(60);
      f.behaviour = [harm](auto const&, std::string const& version) { return harm && version == "2" ? Behaviour::inaccurate : Behaviour::works; };
      auto const id = f.make("2", R"({"stages":[{"devices":30,"bake":"2s"},{"percent":100}],"gates":{"failures":{},)" + c.gate + "}}")->id;
      CHECK(f.reaches(id, harm ? c.bad : State::completed));
      auto const reason = f.text({"test.reason", "SELECT reason FROM rollouts WHERE id = ?"}, id);
      if (harm) CHECK_MESSAGE(reason.find(c.name) != std::string::npos, reason);
      CHECK(f.kept() == f.counted());
    }
}

TEST_CASE("what a device measured as control is its period before, once it is a canary or proves anew: changes are compared then") {
  Sampled f;
  auto const id = f.make("2", R"({"stages":[{"devices":4,"bake":"5s"},{"devices":20,"bake":"10h"},{"percent":100}],"control":{"per_canary":6},
    "gates":{"failures":{},"metrics":[{"name":"accuracy"}]}})")->id;
  auto const measured = [&] {
    auto const rollout = f.get(id);
    auto const view = make_view(rollout, std::make_shared<Ladder const>(*load_ladder(f.store->reader(), rollout)));
    REQUIRE(view);
    return read_measured(f.store->reader(), *view, rollout.progress.window)->metrics.at(0);
  };
  auto const have_before = [](std::vector<DeviceValue> const& devices) { return std::count_if(devices.begin(), devices.end(), [](auto const& one) { return one.before.has_value(); }); };
  f.steps(1);
  REQUIRE(f.get(id).progress.window == 1);
  CHECK(measured().at("cam").canary.size() == 4);
  CHECK(have_before(measured().at("cam").canary) == 0);
  for (int i = 0; i < 40 && f.get(id).progress.window < 2; ++i) f.steps(1);
  f.steps(3);
  auto const second = measured().at("cam");
  CHECK(second.canary.size() == 16);
  CHECK(have_before(second.canary) == 16);
  CHECK(second.control.size() == 20);
  CHECK(have_before(second.control) == 8);
}

TEST_CASE("a canary that sends nothing of a compared metric is no evidence to pass") {
  Sampled f;
  auto const id = f.make("2", R"({"stages":[{"devices":20,"deadline":"1m"},{"percent":100}],"gates":{"failures":{},"metrics":[{"name":"latency_ms"}]}})")->id;
  CHECK(f.reaches(id, State::paused));
  CHECK(f.running_count("2") == 20);
}

TEST_CASE("drift of a metric whose range the release does not declare is refused by name") {
  Sampled f;
  auto const made = f.make("2", R"({"stages":[{"percent":100}],"gates":{"drift":{"metrics":["accuracy","confidence"]}}})");
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().code == "drift_needs_range");
  REQUIRE(made.error().errors.size() == 1);
  CHECK(made.error().errors[0].pointer == "/policy/gates/drift/metrics/1");
}
