#include "agent/handlers/installer.hpp"
#include "tests/unit/agent/proof/release_folder.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

/// The owner's program `box`, and what it is asked for.
struct Box {
  explicit Box(std::string const& body) {
    folder.script("box", body);
    folder.config.exec.programs = {{"box", folder.slot() + "/box"}};
    installation.candidate = folder.candidate();
    installation.installer = {"box", Millis{5'000}};
    installation.files = {"a.raucb", "sub/b"};
    installation.hardware = "cam-a";
    installation.previous = std::string(64, 'p');
    installation.keep = {"one", "two"};
  }
  Result<void> ask(Verb verb) { return ask_installer(folder.bench(), installation, verb); }
  ReleaseFolder folder;
  Installation installation;
};

}  // namespace

TEST_CASE("a program is told the verb, the release, its files, and what ran before") {
  Box box(R"(echo "$#:$1:$FLEET_MODEL:$FLEET_VERSION:$FLEET_RELEASE:$FLEET_HARDWARE:$FLEET_PREVIOUS:$FLEET_KEEP"; echo "$FLEET_FILES"; echo "$FLEET_SLOT"; exit 1)");
  auto const refused = box.ask(Verb::install);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().hint == "1:install:reader:2.0:" + std::string(64, 'a') + ":cam-a:" + std::string(64, 'p') + ":\na.raucb\nsub/b\n" + box.folder.slot() + "\n");
  auto const collected = box.ask(Verb::collect);
  REQUIRE_FALSE(collected.has_value());
  CHECK(collected.error().hint.find(":one two\n") != std::string::npos);
}

TEST_CASE("how it ends is what it says") {
  struct Case {
    Verb verb;
    int exit_code;
    std::string code;
  };
  for (auto const& wanted : std::to_array<Case>({{Verb::check, 1, "ineligible"},
                                                 {Verb::install, 1, "install_failed"},
                                                 {Verb::switch_to, 3, "switch_failed"},
                                                 {Verb::commit, 255, "commit_failed"},
                                                 {Verb::rollback, 1, "rollback_failed"},
                                                 {Verb::install, 2, "install_failed"},
                                                 {Verb::switch_to, 2, "switch_failed"},
                                                 {Verb::rollback, 2, "rollback_failed"},
                                                 {Verb::check, 75, "installer_busy"},
                                                 {Verb::install, 75, "installer_busy"},
                                                 {Verb::commit, 75, "installer_busy"},
                                                 {Verb::check, 2, ""},
                                                 {Verb::commit, 2, ""},
                                                 {Verb::collect, 2, ""},
                                                 {Verb::install, 0, ""}})) {
    CAPTURE(to_string(wanted.verb));
    CAPTURE(wanted.exit_code);
    Box box("echo working; echo 'the last word'; exit " + std::to_string(wanted.exit_code));
    auto const asked = box.ask(wanted.verb);
    CHECK((asked ? "" : asked.error().code) == wanted.code);
    if (!asked) CHECK(asked.error().detail.find("box " + std::string(to_string(wanted.verb)) + " of reader@2.0 ended with " + std::to_string(wanted.exit_code) + ": the last word") == 0);
  }
}

TEST_CASE("one that does not end is ended, and one that agent.yaml does not name is the device's own fault") {
  Box box("sleep 1000");
  box.installation.installer.timeout = Millis{200};
  auto const late = box.ask(Verb::install);
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code == "install_failed");
  CHECK(late.error().detail.find("still running after 200ms") != std::string::npos);
  box.folder.config.exec.programs.clear();
  CHECK(box.ask(Verb::install).error().code == "unknown_program");
}

TEST_CASE("a program installs files of any size, whatever other programs may write") {
  Box box("dd if=/dev/zero of=" + std::string("$(dirname $0)/../open/big bs=1000000 count=3 2>/dev/null"));
  static_cast<void>(box.folder.open_folder());
  box.folder.config.exec.limits.file_bytes = 1'000'000;
  CHECK(box.ask(Verb::install).has_value());
  CHECK(std::filesystem::file_size(box.folder.open_folder() + "/big") == 3'000'000);
}

TEST_CASE("answers are lines of key=value") {
  auto const answers = read_answers("current = abc \nno answer\n=x\ninstalled=a b\r\ncurrent=last");
  CHECK(answers == std::map<std::string, std::string>{{"current", "last"}, {"installed", "a b"}});
  Box box("echo current=abc; echo noise >&2");
  CHECK(installer_answers(box.folder.bench(), box.installation, Verb::state).value() == std::map<std::string, std::string>{{"current", "abc"}});
  Box endless("yes");
  endless.installation.installer.timeout = Millis{5'000};
  CHECK_FALSE(installer_answers(endless.folder.bench(), endless.installation, Verb::state).has_value());
}
