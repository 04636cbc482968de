#include "tests/unit/agent/proof/release_folder.hpp"

#include <fcntl.h>
#include <poll.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

/// Gone, or a zombie that somebody else will reap; the kernel may take a moment after the kill.
bool is_gone(std::string const& pid) {
  for (int tries = 0; tries < 500; ++tries) {
    auto const stat = system_fs().read("/proc/" + pid + "/stat", 4096);
    if (!stat || stat->find(") Z ") != std::string::npos) return true;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

}  // namespace

TEST_CASE("how a program ended is told in numbers and words") {
  struct Case {
    std::string body, text;
    int exit_code, signal;
    bool ok;
  };
  for (auto const& wanted : std::to_array<Case>({
           {"exit 0", "ended with 0", 0, 0, true},
           {"exit 3", "ended with 3", 3, 0, false},
           {"kill -9 $$", "killed by signal 9", -1, 9, false},
           {"ulimit -c; kill -11 $$", "killed by signal 11", -1, 11, false},
       })) {
    CAPTURE(wanted.body);
    ReleaseFolder folder;
    auto const ran = folder.run_script(wanted.body);
    REQUIRE(ran.has_value());
    CHECK(ran->text == wanted.text);
    CHECK(ran->exit_code == wanted.exit_code);
    CHECK(ran->signal == wanted.signal);
    CHECK(ran->ok() == wanted.ok);
  }
}

TEST_CASE("at the time-out the program and what it started are killed") {
  ReleaseFolder folder;
  auto const ran = folder.run_script("sleep 1000 & echo $!; sleep 1000", Millis{300});
  REQUIRE(ran.has_value());
  CHECK(ran->timed_out);
  CHECK(ran->text == "still running after 300ms");
  CHECK_FALSE(ran->ok());
  CHECK(is_gone(ran->output.substr(0, ran->output.find('\n'))));
}

TEST_CASE("what a program leaves running ends with it and does not hold the agent") {
  ReleaseFolder folder;
  auto const ran = folder.run_script("sleep 1000 & echo $!; exit 0", Millis{20'000});
  REQUIRE(ran.has_value());
  CHECK(ran->ok());
  CHECK(is_gone(ran->output.substr(0, ran->output.find('\n'))));
}

TEST_CASE("the output's tail is kept, both streams, as printable text") {
  ReleaseFolder folder;
  auto const ran = folder.run_script(R"(i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; printf '\377\000end' >&2)");
  REQUIRE(ran.has_value());
  CHECK(ran->output.size() <= 4096);
  CHECK(ran->output.find("line 1999") != std::string::npos);
  CHECK(ran->output.ends_with("??end"));
}

TEST_CASE("a program has a clean environment, its own group, no descriptors, no privileges to gain") {
  ReleaseFolder folder;
  REQUIRE(::setenv("FLEET_TEST_SECRET", "secret", 1) == 0);
  int const left_open = ::open("/dev/null", O_RDONLY);
  auto const ran =
      folder.run_script("env; ls /proc/$$/fd | tr '\\n' ' '; echo; grep NoNewPrivs /proc/$$/status; ulimit -c; id -u; pwd; echo pgid $(ps -o pgid= -p $$) $$");
  ::close(left_open);
  REQUIRE(ran.has_value());
  auto const& text = ran->output;
  CAPTURE(text);
  CHECK(text.find("FLEET_MODEL=reader") != std::string::npos);
  CHECK(text.find("secret") == std::string::npos);
  CHECK(text.find("HOME=") == std::string::npos);
  CHECK((text.find("\n0 1 10 2 \n") != std::string::npos || text.find("\n0 1 2 \n") != std::string::npos));  // 10: the shell's own script
  CHECK(text.find("NoNewPrivs:\t1") != std::string::npos);
  CHECK(text.find(folder.slot()) != std::string::npos);
  if (::geteuid() == 0) CHECK(text.find("\n65534\n") != std::string::npos);
}

TEST_CASE("a stop kills what runs and says so") {
  ReleaseFolder folder;
  folder.stop.raise();
  auto const ran = folder.run_script("sleep 1000", Millis{100'000});
  REQUIRE_FALSE(ran.has_value());
  CHECK(ran.error().code == "interrupted");
}

TEST_CASE("as root nothing runs without a user of its own; unknown programs and users are named") {
  ReleaseFolder folder;
  folder.script("run", "exit 0");
  Command command;
  command.program = folder.slot() + "/run";
  command.directory = folder.slot();
  if (::geteuid() == 0) {
    auto const nobody = run(command, folder.stop);
    REQUIRE_FALSE(nobody.has_value());
    CHECK(nobody.error().code == "run_as_required");
    command.run_as = "no-such-user";
    CHECK(run(command, folder.stop).error().code == "unknown_user");
  }
  command.program = folder.slot() + "/none";
  CHECK(run(command, folder.stop).error().code == "unknown_program");
}

TEST_CASE("a command's first word is a file of the release or a program of the device, nothing else") {
  ReleaseFolder folder;
  folder.script("check.sh", "exit 0");
  std::map<std::string, std::string> const programs{{"reader", "/usr/bin/meter-reader"}};
  auto const of_release = resolve({"check.sh", "-x"}, folder.slot(), programs);
  REQUIRE(of_release.has_value());
  CHECK(of_release->program == folder.slot() + "/check.sh");
  CHECK(of_release->arguments == std::vector<std::string>{"-x"});
  CHECK(resolve({"reader"}, folder.slot(), programs)->program == "/usr/bin/meter-reader");
  for (std::string const word : {"", "/bin/sh", "../check.sh", "sh", "none"}) {
    CAPTURE(word);
    CHECK_FALSE(resolve({word}, folder.slot(), programs).has_value());
  }
  CHECK_FALSE(resolve({}, folder.slot(), programs).has_value());
}
