#include "agent/commands/commands.hpp"

#include "agent/commands/control.hpp"
#include "agent/store/identity.hpp"
#include "agent/store/journal.hpp"
#include "core/wire/json.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

namespace fleet::agent {
namespace {

Machine const kMachine{system_fs(), system_clock(), system_random()};

/// An enrolled device's folder; no daemon runs unless the test serves as one.
struct Bench {
  std::string const dir = [] {
    std::string made = (std::filesystem::temp_directory_path() / "fleet-commands.XXXXXX").string();
    return std::string(::mkdtemp(made.data()));
  }();
  Layout layout{dir};
  Bench() {
    Identity const identity{"cam-1", "cam-a", {"https://fleet.test:8444"}, {}, "SECRET KEY", "CERTIFICATE", "CA"};
    REQUIRE(save_identity(system_fs(), layout, identity).has_value());
    REQUIRE(system_fs().make_dirs(layout.run()).has_value());
    REQUIRE(system_fs().make_dirs(layout.state()).has_value());
  }
  ~Bench() { std::filesystem::remove_all(dir); }
  void add_model(std::string const& name, std::string const& version) {
    auto journal = Journal::open(system_fs(), layout.journal()).value();
    ModelState state;
    state.model = name;
    state.state = State::committed;
    state.running = state.target = {std::string(64, 'a'), version};
    REQUIRE(journal.journal.save(state).has_value());
  }
  /// Answers one order as a daemon would; what it heard is returned.
  template <class Command>
  std::string with_daemon(std::string const& answer, Command const& command) {
    auto socket = ControlSocket::open(layout.control_socket());
    REQUIRE(socket.has_value());
    std::string heard;
    std::thread serving([&] {
      pollfd waiting{socket->descriptor(), POLLIN, 0};
      if (::poll(&waiting, 1, 5000) == 1)
        socket->serve([&](std::string_view line, Descriptor const&) {
          heard = line;
          return answer;
        }, system_clock());
    });
    command();
    serving.join();
    return heard;
  }
};

TEST_CASE("status without a daemon tells what the journal has, and that nobody runs") {
  Bench bench;
  bench.add_model("reader", "1.2");
  auto const text = show_status(kMachine, bench.layout, false);
  REQUIRE_MESSAGE(text.has_value(), text.error().detail);
  CHECK(text->find("device  cam-1") != std::string::npos);
  CHECK(text->find("no agent runs") != std::string::npos);
  CHECK(text->find("reader  running 1.2") != std::string::npos);
  auto const object = wire::parse_json(show_status(kMachine, bench.layout, true).value(), 1 << 20);
  REQUIRE(object.has_value());
  CHECK(object->at("models").at(0).at("running").as_string() == "1.2");
}

TEST_CASE("status from a daemon is the daemon's word, and its error is an error") {
  Bench bench;
  auto const good = R"({"id":"cam-9","server":"https://s","last_contact":null,"last_error":"","models":[]})";
  auto const heard = bench.with_daemon(good, [&] { CHECK(show_status(kMachine, bench.layout, false)->starts_with("device  cam-9")); });
  CHECK(heard == R"({"do":"status"})");
  auto const bad = R"({"error":{"kind":"conflict","code":"busy","detail":"not now","hint":"later"}})";
  bench.with_daemon(bad, [&] {
    auto const status = show_status(kMachine, bench.layout, false);
    REQUIRE_FALSE(status.has_value());
    CHECK(status.error().kind == Kind::conflict);
    CHECK(status.error().code == "busy");
    CHECK(status.error().hint == "later");
  });
}

TEST_CASE("explain tells the reasons of one model or of all, and knows no other") {
  Bench bench;
  CHECK(explain(kMachine, bench.layout, "", false).value() == "nothing was ever directed to this device\n");
  bench.add_model("reader", "1.2");
  bench.add_model("counter", "7");
  auto const all = explain(kMachine, bench.layout, "", false).value();
  CHECK(all.find("reader: wants 1.2, runs 1.2") != std::string::npos);
  CHECK(all.find("counter: wants 7, runs 7") != std::string::npos);
  CHECK(explain(kMachine, bench.layout, "counter", false)->find("reader") == std::string::npos);
  CHECK(wire::parse_json(explain(kMachine, bench.layout, "counter", true).value(), 1 << 20)->as_array().size() == 1);
  CHECK(explain(kMachine, bench.layout, "clock", false).error().kind == Kind::not_found);
}

TEST_CASE("an order goes to the daemon; which model is said where several run") {
  Bench bench;
  bench.add_model("reader", "1.2");
  CHECK(order(kMachine, bench.layout, "rollback", "reader").error().code == "nothing_before");  // obeyed here, where no daemon runs
  auto const heard = bench.with_daemon("{}", [&] { CHECK(order(kMachine, bench.layout, "rollback", "reader").has_value()); });
  CHECK(heard == R"({"do":"rollback","model":"reader"})");
  bench.add_model("counter", "7");
  CHECK(order(kMachine, bench.layout, "rollback", "").error().code == "which_model");
}

TEST_CASE("consent goes to the daemon; where none runs it is written down for the next one") {
  Bench bench;
  auto const heard = bench.with_daemon("{}", [&] { CHECK(order(kMachine, bench.layout, "consent", "reader").has_value()); });
  CHECK(heard == R"({"do":"consent","model":"reader"})");
  bench.add_model("reader", "1.2");
  REQUIRE(system_fs().replace(bench.layout.config(), "update_lock: {consent: [reader]}\n").has_value());
  CHECK(order(kMachine, bench.layout, "consent", "reader").error().code == "nothing_waits");
  {
    auto journal = Journal::open(system_fs(), bench.layout.journal()).value();
    auto state = journal.journal.state("reader");
    state.state = State::waiting;
    state.target = {std::string(64, 'b'), "1.3"};
    state.rollout = "ro-2";
    state.attempt = 4;
    state.waiting = "consent";
    REQUIRE(journal.journal.save(state).has_value());
  }
  CHECK(explain(kMachine, bench.layout, "reader", false)->find("fleet-agent consent --model reader") != std::string::npos);
  REQUIRE(order(kMachine, bench.layout, "consent", "reader").has_value());
  auto const after = Journal::open(system_fs(), bench.layout.journal()).value().journal.state("reader");
  CHECK(after.state == State::waiting);
  CHECK(after.consented == Refusal{std::string(64, 'b'), "ro-2", 4});
  REQUIRE(system_fs().replace(bench.layout.config(), "update_lock: {consents: [reader]}\n").has_value());
  CHECK(order(kMachine, bench.layout, "consent", "reader").error().kind == Kind::bad_input);
}

TEST_CASE("what is collected holds no secret") {
  Bench bench;
  bench.add_model("reader", "1.2");
  REQUIRE(system_fs().replace(bench.layout.config(), "poll: {interval: 1m}\nproxy: {https: \"http://user:SECRET@proxy:3128\"}\nexec: {environment: {TOKEN: SECRET}}\n").has_value());
  REQUIRE(collect(kMachine, bench.layout, bench.dir + "/report.tar").has_value());
  auto const tar = system_fs().read(bench.dir + "/report.tar", 1 << 20).value();
  CHECK(tar.size() % 512 == 0);
  for (auto const* const name : {"status.json", "agent.json", "journal"}) CHECK(tar.find(name) != std::string::npos);
  for (auto const* const kept : {R"("interval":"1m")", R"~("http://(left out)@proxy:3128")~", R"~("TOKEN":"(left out)")~"}) CHECK(tar.find(kept) != std::string::npos);
  CHECK(tar.find("SECRET") == std::string::npos);
  // Facts and journal are for the owner: neither the file nor what is unpacked from it is for others.
  namespace stdfs = std::filesystem;
  CHECK((stdfs::status(bench.dir + "/report.tar").permissions() & static_cast<stdfs::perms>(0077)) == stdfs::perms::none);
  CHECK(tar.find("0000644") == std::string::npos);
  // What cannot be read may be a secret with a quote too few.
  REQUIRE(system_fs().replace(bench.layout.config(), "exec: {environment: {TOKEN: 'SECRET}}\n").has_value());
  REQUIRE(collect(kMachine, bench.layout, bench.dir + "/report.tar").has_value());
  auto const other = system_fs().read(bench.dir + "/report.tar", 1 << 20).value();
  CHECK(other.find("agent.json") != std::string::npos);
  CHECK(other.find("SECRET") == std::string::npos);
}

}  // namespace
}  // namespace fleet::agent
