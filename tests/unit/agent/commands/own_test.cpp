#include "agent/commands/boot.hpp"

#include "agent/handlers/handler.hpp"
#include "tests/unit/agent/device.hpp"

/// The agent's own update: the machine's steps and the program that starts it, together (docs/adr/0047).
namespace fleet::agent {
namespace {

struct OwnRelease {
  std::string version, content, document, digest;
};
OwnRelease program(std::string const& version, std::optional<wire::Probation> probation = {}) {
  OwnRelease out{version, "program " + version, {}, {}};
  wire::Manifest manifest;
  manifest.handler = wire::kAgentHandler;
  manifest.probation = probation;
  wire::Release release{std::string(wire::kAgentModel), version, version.back() - '0', {{{"cam-a"}, {{std::string(wire::kAgentProgram), out.content.size(), crypto::sha256(out.content), true}}}}, manifest};
  out.document = wire::encode(release);
  out.digest = crypto::sha256(out.document).hex();
  return out;
}

/// A device whose agent can be another one. Its processes are started by `start`, as a service manager does.
struct OwnDevice : Device {
  int restarts = 0, proved = 0;
  proof::Outcome answer;
  std::string said = R"({"agent":"9","journal":1,"server":"https://127.0.0.1:1"})";

  OwnDevice() {
    outside.run = [this](proof::Command const& command, Clock&, std::atomic<bool> const&) -> Result<proof::Outcome> {
      CHECK(command.arguments == std::vector<std::string>{"self-test", "--root", "/agent"});
      if (command.answers) command.answers(as_bytes(said));
      return answer;
    };
    outside.own = OwnProgram{"", [this] { ++restarts; }, [this] { ++proved; }};
    boot();
  }
  /// False: the power is off. An agent that ended in order is forgiven its start.
  bool start(bool in_order = true) {
    if (in_order) forgive_start(fs, layout, outside.own->slot);
    outside.own->slot = choose_program(fs, layout).slot;
    return boot();
  }
  void bring(OwnRelease const& release) {
    std::string const home = "/agent/models/fleet-agent";
    fs.put(home + "/releases/" + release.digest + ".json", release.document);
    if (!fs.text(home + "/versions/" + release.digest + "/fleet-agent")) fs.put(home + "/staging/" + release.digest + "/fleet-agent", release.content);
  }
  void order(OwnRelease const& release) {
    wire::DirectiveTarget target;
    target.model = wire::kAgentModel;
    target.path = "models/fleet-agent/" + release.version + "/release.json";
    target.length = release.document.size();
    target.hashes = {{"sha256", release.digest}};
    target.rollout = "ro-" + release.version;
    target.attempt = 1;
    target.action = wire::Action::revert;  // what is kept on the device needs no server
    bring(release);
    static_cast<void>(direct({target}));
  }
  void rounds(int many = 4) {
    for (int i = 0; i < many; ++i) {
      runner->round();
      clock.advance(std::chrono::seconds{2});
    }
  }
  void hear_server() { runner->answered({}); }
  [[nodiscard]] ModelState own() const { return context->journal.state(std::string(wire::kAgentModel)); }
  [[nodiscard]] std::string link() const { return context->slots.current(std::string(wire::kAgentModel)).value(); }
  /// To the end, from the package's program or from what runs.
  void update_to(OwnRelease const& release) {
    order(release);
    rounds();
    REQUIRE(start());
    hear_server();
    rounds();
    REQUIRE(own().state == State::committed);
  }
};

TEST_CASE("the agent's own release is tested by itself, announced, switched to, and stays once its server has answered it") {
  OwnDevice device;
  auto const first = program("1");
  device.order(first);
  device.rounds();
  CHECK(device.own().state == State::probation);
  CHECK(device.link() == first.digest);
  CHECK(device.restarts == 1);  // asked for once
  REQUIRE(load_boot(device.fs, device.layout).value().has_value());
  CHECK(load_boot(device.fs, device.layout).value()->trial == first.digest);
  REQUIRE(device.start());
  CHECK(device.outside.own->slot == first.digest);
  device.rounds();
  CHECK(device.own().state == State::probation);  // nobody has answered
  CHECK(device.proved == 0);
  device.hear_server();
  device.rounds();
  CHECK(device.own().state == State::committed);
  CHECK(device.proved == 1);
  CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
  CHECK(device.restarts == 1);
}

TEST_CASE("one that does not reach its server in time goes back by itself") {
  OwnDevice device;
  auto const first = program("1"), second = program("2");
  device.update_to(first);
  device.order(second);
  device.rounds();
  REQUIRE(device.start());
  CHECK(device.outside.own->slot == second.digest);
  for (int i = 0; i < 20; ++i) {
    device.runner->round();
    device.clock.advance(std::chrono::minutes{1});
  }
  CHECK(device.own().state == State::rolled_back);
  CHECK(device.own().error.code == "no_contact");
  CHECK(device.link() == first.digest);
  CHECK(device.restarts == 3);
  REQUIRE(device.start());
  CHECK(device.outside.own->slot == first.digest);
  CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
  CHECK(device.own().running.digest == first.digest);
}

TEST_CASE("one that falls at each start is gone back from, and what is back tells it") {
  for (bool const from_package : {true, false}) {
    CAPTURE(from_package);
    OwnDevice device;
    auto const before = program("1"), bad = program("2");
    if (!from_package) device.update_to(before);
    auto const back = from_package ? std::string() : before.digest;
    device.order(bad);
    device.rounds();
    forgive_start(device.fs, device.layout, back);
    for (int i = 0; i < 3; ++i) CHECK(choose_program(device.fs, device.layout).slot == bad.digest);  // and dies
    REQUIRE(device.start(false));
    CHECK(device.outside.own->slot == back);
    device.order(bad);
    device.rounds();
    CHECK(device.own().state == State::rolled_back);
    CHECK(device.own().error.code == "fell_back");
    CHECK(device.link() == back);
    CHECK(device.own().running.digest == back);
    CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
    device.rounds();
    CHECK(device.own().state == State::rolled_back);  // not again by itself
  }
}

TEST_CASE("a program that cannot read this device's journal, fails its test or is none is not switched to; without a network, or a disk that reads, it waits") {
  struct Row {
    std::string said;
    int exit_code;
    State state;
    std::string code, waiting = {};
  };
  for (Row const& row : {Row{R"({"agent":"0","journal":0})", 0, State::failed, "older_journal"}, Row{R"({"agent":"0"})", 0, State::failed, "golden_failed"}, Row{"", 0, State::failed, "golden_failed"},
                         Row{"", 1, State::failed, "golden_failed"}, Row{"", 8, State::testing, "no_contact", "no_contact"}, Row{"", 7, State::testing, "no_contact", "no_contact"},
                         Row{"", 75, State::testing, "io_error", "disk_failed"}}) {
    CAPTURE(row.said);
    CAPTURE(row.exit_code);
    OwnDevice device;
    device.said = row.said;
    device.answer.exit_code = row.exit_code;
    device.order(program("1"));
    device.rounds();
    CHECK(device.own().state == row.state);
    CHECK(device.own().error.code == row.code);
    CHECK(device.link().empty());
    CHECK(device.restarts == 0);
    if (row.state != State::testing) continue;
    CHECK(device.own().waiting == row.waiting);
    device.said = R"({"agent":"9","journal":7})";
    device.answer.exit_code = 0;
    device.settle(3);
    CHECK(device.own().state == State::probation);
  }
}

TEST_CASE("a program that was switched to and is not what runs is never proved, however long the disk keeps that from being noted") {
  for (bool const is_full : {false, true}) {
    CAPTURE(is_full);
    OwnDevice device;
    auto const first = program("1"), second = program("2");
    device.update_to(first);
    device.order(second);
    device.rounds();
    REQUIRE(device.own().state == State::probation);
    // Who started it went back, on a disk that did not take the link.
    if (is_full) device.fs.refuse(Error{Kind::io, "io_error", "the disk fails"});
    REQUIRE(device.outside.own->slot == first.digest);
    REQUIRE(device.boot());
    device.hear_server();
    device.rounds();
    if (is_full) {
      CHECK(device.own().state == State::probation);
      device.fs.refuse({});
      device.rounds(10);
    }
    CHECK(device.own().state == State::rolled_back);
    CHECK(device.own().error.code == "fell_back");
    CHECK(device.link() == first.digest);
    CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
  }
}

TEST_CASE("what was proved and cannot be started is told as gone back from, once the disk takes it, and runs by no poll before") {
  OwnDevice device;
  auto const first = program("1");
  device.update_to(first);
  device.fs.refuse(Error{Kind::io, "io_error", "the disk fails"});
  device.outside.own->slot = "";
  REQUIRE(device.boot());
  device.rounds();
  CHECK(device.runner->models().at(std::string(wire::kAgentModel)).running.none());
  device.fs.refuse({});
  device.rounds(10);
  CHECK(device.own().state == State::rolled_back);
  CHECK(device.own().error.code == "fell_back");
  CHECK(device.link().empty());
  CHECK(device.restarts == 1);  // of the switch alone
}

TEST_CASE("any call that fails in the commit leaves a program that nobody ends, and a trial that is forgotten without a restart") {
  for (int call = 1; call <= 30; ++call) {
    CAPTURE(call);
    OwnDevice device;
    device.order(program("1"));
    device.rounds();
    REQUIRE(device.start());
    device.rounds(1);
    device.hear_server();
    device.fs.fail_at(call, Error{Kind::io, "io_error", "the disk fails"});
    device.rounds(10);
    CHECK(device.own().state == State::committed);
    CHECK(device.proved > 0);
    CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
  }
}

TEST_CASE("the power cut at any call, and the agent with it: it comes to the new program, or goes back to what ran, and knows which") {
  auto const first = program("1"), second = program("2");
  for (auto const loss : {CrashFs::Loss::unsynced, CrashFs::Loss::nothing})
    for (int step = 1;; ++step) {
      CAPTURE(step);
      OwnDevice device;
      device.update_to(first);
      device.fs.cut_at(step);
      device.order(second);
      device.rounds();
      bool is_mended = false;
      // The one cut may come in a later start, too.
      auto const was_cut = [&] {
        if (is_mended || !device.fs.was_hit()) return false;
        device.fs.restart(loss);
        return is_mended = true;
      };
      for (int starts = 0; starts < 8; ++starts) {
        if (!device.start(!was_cut())) continue;
        device.order(second);
        device.hear_server();
        device.rounds();
        if (device.fs.was_hit() && !is_mended) continue;
        if (device.outside.own->slot == second.digest && device.own().state == State::committed && !load_boot(device.fs, device.layout).value()) break;
      }
      bool const hit = device.fs.was_hit();
      CHECK(device.outside.own->slot == second.digest);
      CHECK(device.link() == second.digest);
      CHECK(device.own().state == State::committed);
      CHECK(device.own().previous.digest == first.digest);
      CHECK_FALSE(load_boot(device.fs, device.layout).value().has_value());
      if (!hit) break;
    }
}

TEST_CASE("the agent's own program is taken where the owner lists its handler, and under its own name alone") {
  auto release = *wire::decode_release(program("1").document);
  Config config;
  CHECK(check_handler(release, config).error().detail.find("this device allows files") != std::string::npos);
  config.handlers = {"files", "agent"};
  CHECK(check_handler(release, config).has_value());
  auto const refused = [&](wire::Release const& one) { return check_handler(one, config).error().code; };
  auto other = release;
  other.model = "reader";
  CHECK(refused(other) == "ineligible");
  other = release;
  other.manifest.handler = "files";
  CHECK(refused(other) == "ineligible");
  other = release;
  other.variants[0].files[0].executable = false;
  CHECK(refused(other) == "ineligible");
}

TEST_CASE("a fall in its first starts does not end it, nor does the cut of one in its probation") {
  OwnDevice device;
  auto const first = program("1"), second = program("2");
  device.update_to(first);
  device.order(second);
  device.rounds();
  CHECK(choose_program(device.fs, device.layout).slot == second.digest);  // and falls
  REQUIRE(device.start(false));
  CHECK(load_boot(device.fs, device.layout).value()->starts == 2);
  device.rounds();
  device.hear_server();
  device.rounds();
  CHECK(device.own().state == State::committed);
}

}  // namespace
}  // namespace fleet::agent
