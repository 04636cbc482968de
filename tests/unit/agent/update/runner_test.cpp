#include "tests/unit/agent/device.hpp"
#include "tests/unit/agent/fake_server.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

wire::Manifest failing_golden() {
  wire::Manifest manifest;
  manifest.golden = wire::Golden{{"bin/no-such-file"}, Millis{1000}, {}, "model.onnx", 0};
  return manifest;
}

Sample const kOne = sample("1");
Sample const kTwo = sample("2");

/// Runs version 1, told and proved.
void run_one(Device& device) {
  device.bring(kOne);
  REQUIRE(device.direct({Device::target(kOne, "ro-1")}));
  device.settle(3);
  REQUIRE(device.state().state == State::committed);
  REQUIRE(device.current() == kOne.digest);
  device.fs.restart(CrashFs::Loss::unsynced);
}

bool is_whole(Device& device, Sample const& release) {
  return device.fs.text("/agent/models/reader/versions/" + release.digest + "/model.onnx") == release.content;
}

}  // namespace

TEST_CASE("an update goes from directive to commit, and each step that matters is reported in order") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2", 3)}));
  device.settle(1);
  auto const state = device.state();
  CHECK(state.state == State::committed);
  CHECK(state.running == Version{kTwo.digest, "2"});
  CHECK(state.previous == Version{kOne.digest, "1"});
  CHECK(device.current() == kTwo.digest);
  CHECK(device.reported_states() ==
        std::vector<std::string>{"downloading", "testing", "probation", "committed", "downloading", "testing", "probation", "committed"});
  auto const last = device.reports().back();
  CHECK(last.running_version == "2");
  CHECK(last.running_digest == kTwo.digest);
  CHECK(last.rollout == "ro-2");
  CHECK(last.attempt == 3);
  CHECK(last.error.code.empty());
}

TEST_CASE("cut at any call, by kill or by power, the update ends committed and nothing is ever lost") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      CAPTURE(static_cast<int>(loss));
      Device device;
      run_one(device);
      device.bring(kTwo);
      device.fs.cut_at(step);
      if (device.direct({Device::target(kTwo, "ro-2")})) device.settle(2);
      bool const hit = device.fs.was_hit();
      device.fs.restart(loss);
      auto const link = device.fs.read_link("/agent/models/reader/current");
      REQUIRE(link.has_value());
      CHECK((link->ends_with(kOne.digest) || link->ends_with(kTwo.digest)));
      CHECK(is_whole(device, link->ends_with(kOne.digest) ? kOne : kTwo));
      REQUIRE(device.boot());
      device.sequence += 10;
      device.bring(kTwo);
      REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
      device.settle();
      auto const state = device.state();
      CHECK(state.state == State::committed);
      CHECK(state.running == Version{kTwo.digest, "2"});
      CHECK(state.previous == Version{kOne.digest, "1"});
      CHECK(state.error.code.empty());
      CHECK(device.current() == kTwo.digest);
      CHECK(is_whole(device, kOne));
      CHECK(is_whole(device, kTwo));
      CHECK(device.reports().back().state == "committed");
      if (!hit) break;
    }
  }
}

TEST_CASE("a release that cannot be activated is rolled back from any cut, and not taken again for the same attempt") {
  auto const bad = sample("2", failing_activation());
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      CAPTURE(static_cast<int>(loss));
      Device device;
      run_one(device);
      device.bring(bad);
      device.fs.cut_at(step);
      if (device.direct({Device::target(bad, "ro-2")})) device.settle(2);
      bool const hit = device.fs.was_hit();
      device.fs.restart(loss);
      REQUIRE(device.boot());
      device.sequence += 10;
      device.bring(bad);
      REQUIRE(device.direct({Device::target(bad, "ro-2")}));
      device.settle();
      auto const state = device.state();
      CHECK(state.state == State::rolled_back);
      CHECK(state.error.code == "not_in_release");
      CHECK(state.running == Version{kOne.digest, "1"});
      CHECK(device.current() == kOne.digest);
      CHECK(is_whole(device, kOne));
      auto const told = device.reports().size();
      device.settle(3);
      CHECK(device.reports().size() == told);
      if (!hit) break;
    }
  }
}

TEST_CASE("an error of the disk at any call is outlived: the update ends committed or failed with the disk's own code") {
  for (auto const& error : {Error{Kind::unavailable, "disk_full", "no space left"}, Error{Kind::io, "io_failed", "input/output error"}}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Device device;
      run_one(device);
      device.bring(kTwo);
      auto wanted = Device::target(kTwo, "ro-2");
      wanted.conditions.attempts = 5;
      device.fs.fail_at(step, error);
      bool const kept = device.direct({wanted});
      device.settle();
      if (!device.fs.was_hit()) break;
      if (!kept) {
        CHECK(device.current() == kOne.digest);
        continue;
      }
      // What the disk refused to sync is not believed, and brought once more.
      device.bring(kTwo);
      device.settle();
      CHECK(device.state().state == State::committed);
      CHECK(device.current() == kTwo.digest);
      CHECK(is_whole(device, kTwo));
      CHECK(is_whole(device, kOne));
    }
  }
}

TEST_CASE("what the device lacks is waited for with its reason, at any step, and ends no update; mended, it goes on") {
  wire::Manifest golden, activation, health;
  golden.golden = wire::Golden{{"meter"}, Millis{1000}, {}, "model.onnx", 0};
  activation.activate = {"meter"};
  health.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{2}};
  wire::HealthCheck check;
  check.exec = {"meter"};
  health.health = {check};
  for (auto const& [manifest, at] : {std::pair{golden, State::testing}, {activation, State::switching}, {health, State::probation}}) {
    CAPTURE(to_string(at));
    Device device;
    run_one(device);
    auto const needs = sample("2", manifest);
    device.bring(needs);
    REQUIRE(device.direct({Device::target(needs, "ro-2")}));
    device.settle(30);
    CHECK(device.state().state == at);
    CHECK(device.state().waiting == "unknown_program");
    CHECK(device.state().refusals.empty());
    auto const told = device.reports().size();
    device.settle(10);
    CHECK(device.reports().size() == told);
    // A restart forgets nothing of it, and counts as no start that never ended.
    for (int i = 0; i < 4; ++i) REQUIRE(device.boot());
    device.settle(2);
    CHECK(device.state().state == at);
    // The owner's word reaches it meanwhile.
    if (at == State::testing) {
      REQUIRE(device.direct({}));
      device.settle(1);
      CHECK(device.state().state == State::idle);
      continue;
    }
    REQUIRE(device.runner->roll_back("reader").has_value());
    device.settle(2);
    CHECK(device.state().state == State::rolled_back);
    CHECK(device.current() == kOne.digest);
    CHECK(device.state().waiting.empty());
  }
}

TEST_CASE("a failed golden test never switches, and only a higher attempt tries again") {
  Device device;
  run_one(device);
  auto const bad = sample("2", failing_golden());
  device.bring(bad);
  REQUIRE(device.direct({Device::target(bad, "ro-2", 1)}));
  device.settle();
  CHECK(device.state().state == State::failed);
  CHECK(device.state().error.code == "not_in_release");
  CHECK(device.current() == kOne.digest);
  auto const told = device.reports().size();
  REQUIRE(device.direct({Device::target(bad, "ro-2", 1)}));
  device.settle(3);
  CHECK(device.reports().size() == told);
  REQUIRE(device.direct({Device::target(bad, "ro-2", 2)}));
  device.settle(3);
  CHECK(device.reports().size() > told);
  CHECK(device.state().attempt == 2);
}

namespace {

/// A device that runs version 1 and is directed to version 2, whose file a server of the test has, or has not.
struct Fetching {
  Device device;
  FakeServer server;
  std::string const blob = "/blobs/sha256/" + crypto::sha256(kTwo.content).hex();

  explicit Fetching(wire::Conditions rule) {
    run_one(device);
    device.run_with({server.url()}, server.authority().certificate);
    device.fs.put("/agent/models/reader/releases/" + kTwo.digest + ".json", kTwo.document);
    auto wanted = Device::target(kTwo, "ro-2");
    wanted.conditions = rule;
    REQUIRE(device.direct({wanted}));
  }
  /// Nobody is there any more.
  void vanish() { server.stop(); }
  /// In contact all the time, and nothing moves.
  void look_for(Millis time) {
    for (Millis passed{0}; passed < time; passed += std::chrono::hours{1}) {
      device.runner->answered({});
      device.runner->round();
      device.clock.advance(std::chrono::hours{1});
    }
  }
};

wire::Conditions patience(int attempts, Millis give_up = std::chrono::days{7}) {
  wire::Conditions rule;
  rule.attempts = attempts;
  rule.give_up = give_up;
  return rule;
}

net::Response says(int status, std::string const& code) { return net::json_response(status, R"({"code":")" + code + R"(","detail":"because"})"); }

}  // namespace

TEST_CASE("a disk that is full or fails ends no download, however often it is tried; with room it goes on and tells no error") {
  for (bool const is_full : {true, false}) {
    CAPTURE(is_full);
    Fetching test(patience(1, std::chrono::hours{1}));
    test.server.put(test.blob, kTwo.content);
    if (is_full) test.device.fs.set_free(0);
    else test.device.fs.break_sync("/agent/models/reader/staging/" + kTwo.digest + "/model.onnx");
    test.look_for(std::chrono::hours{30});
    CHECK(test.device.state().state == State::downloading);
    CHECK(test.device.state().waiting == (is_full ? "disk_full" : "disk_failed"));
    CHECK(test.device.state().tries == 0);
    test.device.fs.set_free(1U << 30U);
    test.device.fs.break_sync({});
    test.device.settle(3);
    CHECK(test.device.state().state == State::committed);
    CHECK(test.device.state().waiting.empty());
    CHECK(test.device.reports().back().error.code.empty());
  }
}

TEST_CASE("answers without progress are tries: they end at the policy's attempts, and the last is told with its code") {
  // A peer's word stands for itself, never for a wish, a budget or a stop of this device.
  for (auto const& [status, code] :
       std::to_array<std::pair<int, std::string>>({{404, "not_found"}, {500, "cancelled"}, {500, "over_budget"}, {500, "waits"}, {500, "interrupted"}})) {
    CAPTURE(code);
    Fetching test(patience(3));
    test.server.answer(test.blob, [&](net::Request const&) { return says(status, code); });
    test.device.runner->round();
    CHECK(test.device.state().state == State::downloading);
    CHECK(test.device.state().tries == 1);
    test.device.runner->round();
    CHECK(test.device.state().tries == 1);  // the backoff has not passed
    test.device.settle(4);
    CHECK(test.device.state().state == State::failed);
    CHECK(test.device.state().error.code == "server_" + code);
    CHECK(test.device.current() == kOne.digest);
    CHECK(test.device.reports().back().state == "failed");
  }
}

TEST_CASE("nobody there, or a server that asks to come later, is no try; nothing moved for `give_up` of contact ends it") {
  for (bool const busy : {false, true}) {
    CAPTURE(busy);
    Fetching test(patience(1, std::chrono::hours{48}));
    if (busy) test.server.answer(test.blob, [&](net::Request const&) { return says(503, "busy"); });
    else test.vanish();
    test.device.settle(50);  // days without any contact
    CHECK(test.device.state().state == State::downloading);
    CHECK(test.device.state().tries == 0);
    test.look_for(std::chrono::hours{40});
    CHECK(test.device.state().state == State::downloading);
    test.look_for(std::chrono::hours{12});
    CHECK(test.device.state().state == State::failed);
    CHECK(test.device.current() == kOne.digest);
  }
}

TEST_CASE("bytes that came are progress: tries and backoff begin anew, whatever a link breaks how often") {
  Fetching test(patience(2));
  std::size_t asked = 0;
  // Two bytes each time, then the connection ends.
  test.server.answer(test.blob, [&](net::Request const& request) {
    std::size_t from = 0;
    if (auto const range = request.header("Range"); range.starts_with("bytes=")) from = static_cast<std::size_t>(std::stoul(std::string(range.substr(6))));
    ++asked;
    net::Response response;
    response.status = from > 0 ? 206 : 200;
    response.body = kTwo.content.substr(from, 2);
    return response;
  });
  for (std::size_t i = 0; i < kTwo.content.size() && test.device.state().running.version != "2"; ++i) {
    test.device.runner->round();
    CHECK(test.device.state().tries == 0);
    test.device.clock.advance(Millis{1600});  // the first step of the backoff, at most
  }
  CHECK(test.device.state().running.version == "2");
  CHECK(asked >= kTwo.content.size() / 2);
}

TEST_CASE("contact that comes again ends the wait for it") {
  Fetching test(patience(1));
  test.server.answer(test.blob, [&](net::Request const&) { return says(503, "busy"); });
  test.device.runner->round();
  test.server.put(test.blob, kTwo.content);
  test.device.runner->round();
  CHECK(test.device.state().state == State::downloading);  // the backoff has not passed
  test.device.runner->answered({});
  test.device.runner->round();
  CHECK(test.device.state().state == State::committed);
}

TEST_CASE("a server that says when to come again is asked then, and not before") {
  Fetching test(patience(1));
  int asked = 0;
  test.server.answer(test.blob, [&](net::Request const&) {
    ++asked;
    auto later = says(503, "busy");
    later.headers.push_back({"Retry-After", "120"});
    return later;
  });
  test.device.runner->round();
  for (int i = 0; i < 7; ++i) {
    test.device.clock.advance(Millis{17'000});
    test.device.runner->round();
  }
  CHECK(asked == 1);
  CHECK(test.device.state().tries == 0);
  test.server.put(test.blob, kTwo.content);
  test.device.clock.advance(Millis{1'500});
  test.device.runner->round();
  CHECK(test.device.state().state == State::committed);
}

TEST_CASE("a battery that runs low pauses a download, which costs no try") {
  Device device;
  device.fs.put("/agent/agent.yaml", "conditions: {battery: /sys/battery}");
  device.fs.put("/sys/battery", "20\n");
  REQUIRE(device.boot());
  run_one(device);
  device.bring(kTwo);
  auto wanted = Device::target(kTwo, "ro-2");
  wanted.conditions.battery_min_percent = 30;
  REQUIRE(device.direct({wanted}));
  device.settle(20);
  CHECK(device.state().state == State::downloading);
  CHECK(device.state().waiting == "battery");
  CHECK(device.state().tries == 0);
  CHECK(device.reports().back().state == "downloading");
}

TEST_CASE("over a metered link nothing is fetched that is dearer than the policy allows, and what it would cost is told") {
  auto rule = patience(1);
  rule.metered = "avoid";
  rule.metered_max_bytes = static_cast<std::int64_t>(kTwo.content.size()) - 1;
  Fetching test(rule);
  test.device.context->config.metered = "yes";
  test.server.put(test.blob, kTwo.content);
  test.device.settle(3);
  CHECK(test.device.state().state == State::downloading);
  CHECK(test.device.state().waiting == "metered");
  CHECK(test.device.state().to_fetch == kTwo.content.size());
  CHECK(test.device.state().tries == 0);
  // What there is to fetch was asked for once, not at each look.
  CHECK(test.server.asked() == std::vector<std::string>{"/device/v1/routes/" + kTwo.digest});
  test.device.context->config.metered = "no";
  test.device.settle(2);
  CHECK(test.device.state().state == State::committed);
  CHECK(test.device.state().to_fetch == 0);
}

TEST_CASE("a restart tells nothing that was told, acknowledged or not") {
  Device device;
  run_one(device);
  for (bool const acknowledged : {false, true}) {
    CAPTURE(acknowledged);
    auto const told = device.context->spool->next(1 << 20).items[wire::Tier::critical];
    wire::ReportAnswer answer;
    answer.acked[wire::Tier::critical] = answer.received[wire::Tier::critical] = told.back().sequence;
    if (acknowledged) REQUIRE(device.context->spool->settle(answer).has_value());
    for (int boot = 0; boot < 5; ++boot) {
      REQUIRE(device.boot());
      device.settle(2);
    }
    auto const after = device.context->spool->next(1 << 20).items[wire::Tier::critical];
    CHECK((after.empty() || after.back().sequence == told.back().sequence));
  }
}

TEST_CASE("what the directive no longer names is dropped before the switch") {
  Device device;
  run_one(device);
  auto wanted = Device::target(sample("3"), "ro-3");
  wanted.action = wire::Action::install;
  REQUIRE(device.direct({wanted}));
  device.runner->round();
  REQUIRE(device.state().state == State::checking);
  REQUIRE(device.direct({}));
  device.settle(2);
  CHECK(device.state().state == State::idle);
  CHECK(device.current() == kOne.digest);
}

TEST_CASE("outside its window a staged release waits with the reason, and goes on inside it") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  auto wanted = Device::target(kTwo, "ro-2");
  wanted.windows = {{"Etc/UTC", {}, "01:00", "05:00", "switch"}};
  auto const zone = system_fs().read("/usr/share/zoneinfo/Etc/UTC", 1 << 20);
  REQUIRE(zone.has_value());
  device.fs.put("/usr/share/zoneinfo/Etc/UTC", *zone);
  device.clock.set_wall(std::chrono::floor<std::chrono::days>(device.clock.wall()) + std::chrono::hours{36});
  REQUIRE(device.direct({wanted}));
  device.runner->round();
  CHECK(device.state().state == State::waiting);
  CHECK(device.state().waiting == "window");
  CHECK(device.current() == kOne.digest);
  device.clock.advance(std::chrono::hours{14});
  device.runner->round();
  CHECK(device.state().state == State::committed);
  CHECK(device.current() == kTwo.digest);
}

TEST_CASE("with too little battery a release waits, and goes on when it is charged") {
  Device device;
  device.fs.put("/agent/agent.yaml", "conditions: {battery: /sys/battery}");
  device.fs.put("/sys/battery", "20\n");
  REQUIRE(device.boot());
  run_one(device);
  device.bring(kTwo);
  auto wanted = Device::target(kTwo, "ro-2");
  wanted.conditions.battery_min_percent = 30;
  REQUIRE(device.direct({wanted}));
  device.settle(2);
  CHECK(device.state().waiting == "battery");
  device.fs.put("/sys/battery", "31\n");
  device.settle(1);
  CHECK(device.state().state == State::committed);
}

TEST_CASE("past act_before nothing starts until a new directive comes") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  Told old{++device.sequence, device.clock.wall() - std::chrono::seconds{1}, {Device::target(kTwo, "ro-2")}};
  device.runner->direct(old);
  auto const told = device.reports().size();
  device.settle(3);
  CHECK(device.current() == kOne.digest);
  CHECK(device.reports().size() == told);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  CHECK(device.current() == kTwo.digest);
}

TEST_CASE("the owner's rollback is local, holds what ran also against another rollout, and unhold lets it in again") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  REQUIRE(device.current() == kTwo.digest);
  REQUIRE(device.runner->roll_back("reader").has_value());
  device.settle(3);
  CHECK(device.state().state == State::rolled_back);
  CHECK(device.state().error.code == "rolled_back_by_owner");
  CHECK(device.current() == kOne.digest);
  REQUIRE(device.direct({Device::target(kTwo, "ro-9")}));
  device.settle(3);
  CHECK(device.current() == kOne.digest);
  CHECK(device.state().held == kTwo.digest);
  REQUIRE(device.boot());
  device.settle(2);
  CHECK(device.current() == kOne.digest);
  CHECK_FALSE(device.fs.text("/agent/models/reader/versions/" + kTwo.digest + "/model.onnx").has_value());
  device.bring(kTwo);
  REQUIRE(device.runner->unhold("reader").has_value());
  device.settle(2);
  CHECK(device.current() == kTwo.digest);
  CHECK(device.state().state == State::committed);
  CHECK_FALSE(device.runner->roll_back("unknown").has_value());
  CHECK(device.runner->unhold("reader").error().code == "not_held");
}

TEST_CASE("the owner's rollback drops what is under way and returns at once") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  auto wanted = Device::target(sample("3"), "ro-3");
  wanted.action = wire::Action::install;
  REQUIRE(device.direct({wanted}));
  device.runner->round();
  REQUIRE(device.state().state == State::checking);
  REQUIRE(device.runner->roll_back("reader").has_value());
  device.runner->round();
  CHECK(device.current() == kOne.digest);
}

TEST_CASE("an ordered return goes to the kept version without test or probation; removal takes `current` away") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  REQUIRE(device.direct({Device::target(kOne, "ro-2")}));
  device.settle(2);
  CHECK(device.state().state == State::rolled_back);
  CHECK(device.state().running == Version{kOne.digest, "1"});
  CHECK(device.current() == kOne.digest);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-3")}));
  device.settle(2);
  REQUIRE(device.current() == kTwo.digest);
  wire::DirectiveTarget gone;
  gone.model = "reader";
  gone.rollout = "ro-3";
  gone.action = wire::Action::remove;
  REQUIRE(device.direct({gone}));
  device.settle(1);
  CHECK(device.current().empty());
  CHECK(device.state().running.none());
  auto const told = device.reports().size();
  device.settle(2);
  CHECK(device.reports().size() == told);
}

TEST_CASE("the previous version goes when a third commits, and not before") {
  Device device;
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  CHECK(is_whole(device, kOne));
  auto const three = sample("3");
  device.bring(three);
  REQUIRE(device.direct({Device::target(three, "ro-3")}));
  device.settle(1);
  CHECK(device.current() == three.digest);
  CHECK_FALSE(is_whole(device, kOne));
  CHECK(is_whole(device, kTwo));
}

TEST_CASE("the security floor rises at commit only") {
  Device device;
  run_one(device);
  wire::Manifest manifest = failing_activation();
  manifest.security_floor = 2;
  auto const bad = sample("2", manifest);
  device.bring(bad);
  REQUIRE(device.direct({Device::target(bad, "ro-2")}));
  device.settle(2);
  CHECK(device.state().floor == 0);
  manifest.activate.clear();
  auto const good = sample("3", manifest);
  device.bring(good);
  REQUIRE(device.direct({Device::target(good, "ro-3")}));
  device.settle(2);
  CHECK(device.state().floor == 2);
}

TEST_CASE("a journal that is gone, empty or damaged is rebuilt from the link, never taken for a fresh device") {
  for (std::string const spoiled : {"gone", "", "garbage\ngarbage\n"}) {
    CAPTURE(spoiled);
    Device device;
    run_one(device);
    if (spoiled == "gone") REQUIRE(device.fs.remove("/agent/state/journal").has_value());
    else device.fs.put("/agent/state/journal", spoiled);
    REQUIRE(device.boot());
    CHECK(device.state().running == Version{kOne.digest, "1"});
    device.settle(2);
    CHECK(device.current() == kOne.digest);
    CHECK(device.state().state == State::committed);
    device.bring(kTwo);
    REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
    device.settle(2);
    CHECK(device.state().previous == Version{kOne.digest, "1"});
    CHECK(device.current() == kTwo.digest);
  }
}

namespace {

wire::Manifest slow_probation() {
  wire::Manifest manifest;
  manifest.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{4}};
  return manifest;
}

/// Version 2 in its slot and the journal in a state of its update, as a power cut leaves them.
void put_into(Device& device, Sample const& release, State at, StepRun run) {
  device.bring(release);
  REQUIRE(device.context->slots.install("reader", release.digest, wire::decode_release(release.document)->variants[0]).has_value());
  auto state = device.state();
  state.state = at;
  state.target = {release.digest, release.version};
  state.rollout = "ro-2";
  state.attempt = 1;
  state.run = run;
  if (at == State::probation) {
    state.previous = state.running;
    state.running = state.target;
  }
  REQUIRE(device.context->journal.save(state).has_value());
  if (at != State::testing) REQUIRE(device.context->slots.switch_to("reader", release.digest).has_value());
}

}  // namespace

TEST_CASE("what took the device down three times in a row fails as interrupted and goes back, wherever it did") {
  struct Case {
    State at;
    wire::Manifest manifest;
    State ends;
  };
  for (auto const& [at, manifest, ends] : {Case{State::testing, failing_golden(), State::failed}, Case{State::switching, {}, State::rolled_back},
                                           Case{State::probation, slow_probation(), State::rolled_back}}) {
    CAPTURE(to_string(at));
    Device device;
    run_one(device);
    auto const bad = sample("2", manifest);
    put_into(device, bad, at, {3, Millis{0}, {}});
    REQUIRE(device.boot());
    REQUIRE(device.direct({Device::target(bad, "ro-2")}));
    device.settle(3);
    CHECK(device.state().state == ends);
    CHECK(device.state().error.code == "interrupted");
    CHECK(device.current() == kOne.digest);
    CHECK(device.reports().back().error.code == "interrupted");
  }
}

TEST_CASE("each start of a probation is journalled before it begins, an ordinary stop takes it back, and the time counts on") {
  Device device;
  run_one(device);
  auto const two = sample("2", slow_probation());
  put_into(device, two, State::probation, {2, Millis{0}, {}});
  REQUIRE(device.direct({Device::target(two, "ro-2")}));
  REQUIRE(device.boot());
  device.runner->round();
  CHECK(device.context->journal.state("reader").run.starts == 3);
  device.clock.advance(std::chrono::minutes{20});
  device.runner->round();
  CHECK(device.context->journal.state("reader").run.spent >= std::chrono::minutes{20});  // kept now and then, for who is cut
  device.runner->rest();
  CHECK(device.context->journal.state("reader").run.starts == 0);
  for (int boot = 0; boot < 5; ++boot) {
    REQUIRE(device.boot());
    device.runner->round();
    CHECK(device.state().state == State::probation);
    device.clock.advance(std::chrono::minutes{7});
    device.runner->rest();
  }
  REQUIRE(device.boot());
  device.runner->round();
  device.clock.advance(std::chrono::minutes{6});
  device.runner->round();
  CHECK(device.state().state == State::committed);
}

TEST_CASE("something newer does not wait for a probation; what runs is proved after all should it fail before its switch") {
  for (bool const newer_is_good : {true, false}) {
    CAPTURE(newer_is_good);
    Device device;
    run_one(device);
    auto const two = sample("2", slow_probation());
    device.bring(two);
    REQUIRE(device.direct({Device::target(two, "ro-2")}));
    device.settle(1);
    REQUIRE(device.state().state == State::probation);
    auto const three = sample("3", newer_is_good ? wire::Manifest{} : failing_golden());
    device.bring(three);
    REQUIRE(device.direct({Device::target(three, "ro-3")}));
    device.runner->round();
    if (newer_is_good) {
      CHECK(device.state().state == State::committed);
      CHECK(device.current() == three.digest);
      CHECK(device.state().previous == Version{kOne.digest, "1"});  // 2 was never proved: it is no way back
      continue;
    }
    CHECK(device.state().state == State::probation);
    CHECK(device.state().rollout == "ro-2");
    CHECK(device.current() == two.digest);
    auto const reports = device.reports();
    CHECK(std::any_of(reports.begin(), reports.end(), [](auto const& item) { return item.rollout == "ro-3" && item.state == "failed"; }));
    device.settle(6);
    CHECK(device.state().state == State::committed);
    CHECK(device.state().running == Version{two.digest, "2"});
  }
}

TEST_CASE("an order back reaches an update in its probation and in its switch") {
  for (auto const at : {State::switching, State::probation}) {
    for (bool const of_owner : {true, false}) {
      CAPTURE(to_string(at));
      CAPTURE(of_owner);
      Device device;
      run_one(device);
      auto const two = sample("2", slow_probation());
      put_into(device, two, at, {});
      REQUIRE(device.boot());
      if (of_owner) REQUIRE(device.runner->roll_back("reader").has_value());
      else REQUIRE(device.direct({Device::target(kOne, "ro-2")}));
      device.runner->round();
      CHECK(device.state().state == State::rolled_back);
      CHECK(device.current() == kOne.digest);
      CHECK(device.state().running == Version{kOne.digest, "1"});
      CHECK((device.state().held == two.digest) == of_owner);
    }
  }
}

TEST_CASE("an ordered return below the owners' floor is refused, kept or not; the owner of the device may still go back") {
  Device device;
  run_one(device);
  wire::Manifest manifest;
  manifest.security_floor = 2;
  auto const two = sample("2", manifest);
  device.bring(two);
  REQUIRE(device.direct({Device::target(two, "ro-2")}));
  device.settle(2);
  REQUIRE(device.state().floor == 2);
  REQUIRE(device.direct({Device::target(kOne, "ro-2")}));
  device.settle(2);
  CHECK(device.state().state == State::failed);
  CHECK(device.state().error.code == "below_floor");
  CHECK(device.current() == two.digest);
  REQUIRE(device.runner->roll_back("reader").has_value());
  device.settle(1);
  CHECK(device.current() == kOne.digest);
}

TEST_CASE("a release whose document is damaged or gone fails its update, goes back and is told, wherever it stands") {
  struct Case {
    State at;
    bool switched;  ///< `current` points at it already
    State ends;
  };
  for (std::string const spoiled : {"gone", "", "{}"}) {
    for (auto const& [at, switched, ends] : {Case{State::testing, false, State::failed}, Case{State::switching, false, State::rolled_back},
                                             Case{State::switching, true, State::rolled_back}, Case{State::probation, true, State::rolled_back}}) {
      CAPTURE(spoiled);
      CAPTURE(to_string(at));
      CAPTURE(switched);
      Device device;
      run_one(device);
      device.bring(kTwo);
      REQUIRE(device.context->slots.install("reader", kTwo.digest, wire::decode_release(kTwo.document)->variants[0]).has_value());
      auto state = device.state();
      state.state = at;
      state.target = {kTwo.digest, "2"};
      state.rollout = "ro-2";
      if (at == State::probation) {
        state.previous = state.running;
        state.running = state.target;
      }
      REQUIRE(device.context->journal.save(state).has_value());
      if (switched) REQUIRE(device.context->slots.switch_to("reader", kTwo.digest).has_value());
      auto const document = "/agent/models/reader/releases/" + kTwo.digest + ".json";
      if (spoiled == "gone") REQUIRE(device.fs.remove(document).has_value());
      else device.fs.put(document, spoiled);
      REQUIRE(device.boot());
      REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
      device.settle(2);
      CHECK(device.state().state == ends);
      CHECK(device.state().error.code == "release_lost");
      CHECK(device.state().running == Version{kOne.digest, "1"});
      CHECK(device.current() == kOne.digest);
      CHECK(is_whole(device, kOne));
      CHECK(device.reports().back().error.code == "release_lost");
      CHECK(device.reports().back().state == to_string(ends));
    }
  }
}

TEST_CASE("what was refused or taken back is given back at once, and the owner's `keep` says what else stays") {
  auto const three = sample("3"), four = sample("4", failing_golden());
  for (bool const keeps_more : {false, true}) {
    CAPTURE(keeps_more);
    Device device;
    if (keeps_more) device.fs.put("/agent/agent.yaml", "keep: {versions: 3}");
    REQUIRE(device.boot());
    run_one(device);
    for (auto const& [release, rollout] : {std::pair{kTwo, "ro-2"}, std::pair{three, "ro-3"}, std::pair{four, "ro-4"}}) {
      device.bring(release);
      REQUIRE(device.direct({Device::target(release, rollout)}));
      device.settle(3);
    }
    CHECK(device.state().state == State::failed);
    CHECK(device.current() == three.digest);
    CHECK(is_whole(device, three));
    CHECK(is_whole(device, kTwo));
    CHECK(is_whole(device, kOne) == keeps_more);
    CHECK_FALSE(is_whole(device, four));
    device.fs.fill();
    REQUIRE(device.runner->roll_back("reader").has_value());
    device.settle(2);
    CHECK(device.current() == kTwo.digest);
    CHECK_FALSE(is_whole(device, three));
  }
}

namespace {

/// Versions 1 and 2 committed, 3 in its probation or committed, all told by the directive that names 3 and what was revoked.
void run_three(Device& device, Sample const& three, std::vector<std::string> revoked) {
  run_one(device);
  device.bring(kTwo);
  REQUIRE(device.direct({Device::target(kTwo, "ro-2")}));
  device.settle(1);
  device.bring(three);
  REQUIRE(device.direct({Device::target(three, "ro-3")}));
  device.settle(1);
  REQUIRE(device.current() == three.digest);
  auto wanted = Device::target(three, "ro-3");
  wanted.revoked = std::move(revoked);
  REQUIRE(device.direct({wanted}));
}

}  // namespace

TEST_CASE("a revoked version is no place to go back to, once the device has heard") {
  struct Case {
    std::vector<std::string> revoked;
    std::string ends;  ///< what runs after a probation that failed
  };
  for (auto const& [revoked, ends] : {Case{{}, "2"}, Case{{kTwo.digest}, "1"}, Case{{kOne.digest, kTwo.digest}, ""}}) {
    CAPTURE(ends);
    Device device;
    auto const three = sample("3", slow_probation());
    run_three(device, three, revoked);
    REQUIRE(device.state().state == State::probation);
    if (ends.empty()) CHECK(device.runner->roll_back("reader").error().code == "revoked");
    // A power cut in its probation, for the third time.
    auto state = device.state();
    state.run.starts = 3;
    REQUIRE(device.context->journal.save(state).has_value());
    REQUIRE(device.boot());
    device.settle(2);
    CHECK(device.state().state == State::rolled_back);
    CHECK(device.state().running.version == ends);
    CHECK(device.current() == device.state().running.digest);
  }
}

TEST_CASE("the owner does not go back to what was revoked, also where no release is directed; a directive may") {
  Device device;
  run_three(device, sample("3"), {});
  wire::DirectiveTarget only_revoked;
  only_revoked.model = "reader";
  only_revoked.action = wire::Action::none;
  only_revoked.revoked = {kTwo.digest};
  REQUIRE(device.direct({only_revoked}));
  device.settle(2);
  CHECK(device.state().state == State::committed);
  CHECK(device.runner->roll_back("reader").error().code == "revoked");
  auto back = Device::target(kTwo, "ro-3");
  back.revoked = {kTwo.digest};
  REQUIRE(device.direct({back}));
  device.settle(2);
  CHECK(device.current() == kTwo.digest);
}
