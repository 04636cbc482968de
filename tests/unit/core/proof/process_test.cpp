#include "tests/unit/core/proof/release_folder.hpp"

#include "core/proof/user.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <set>
#include <sstream>

using namespace fleet;
using namespace fleet::proof;

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

TEST_CASE("what a program answers is handed on whole, apart from what it says besides; a file that its user could not open is its input") {
  ReleaseFolder folder;
  folder.put("secret", std::string(200'000, 's') + "end");
  std::filesystem::permissions(folder.slot() + "/secret", static_cast<std::filesystem::perms>(0600));
  folder.script("run", "echo said >&2; cat");
  Command command;
  command.program = folder.slot() + "/run";
  command.directory = folder.slot();
  command.exec = folder.exec;
  command.of_release = true;
  command.input = folder.slot() + "/secret";
  std::string answered;
  command.answers = [&](BytesView piece) {
    answered += as_text(piece);
    return true;
  };
  auto const ran = run(command, system_clock(), folder.stop);
  REQUIRE(ran.has_value());
  CHECK(ran->ok());
  CHECK(ran->output == "said\n");
  CHECK(answered == std::string(200'000, 's') + "end");

  answered.clear();
  command.answers = [&](BytesView piece) {
    answered += as_text(piece);
    return false;
  };
  auto const ended = run(command, system_clock(), folder.stop);
  REQUIRE(ended.has_value());
  CHECK_FALSE(ended->ok());
  CHECK(answered.size() < 200'000);
  command.input = folder.slot() + "/none";
  CHECK(run(command, system_clock(), folder.stop).error().kind == Kind::not_found);
}

TEST_CASE("a program that the agent opened runs from where its user may not enter") {
  ReleaseFolder folder;
  auto const closed = folder.slot() + "/closed";
  std::filesystem::create_directories(closed);
  std::filesystem::copy_file("/bin/echo", closed + "/echo");
  std::filesystem::permissions(closed, static_cast<std::filesystem::perms>(0700));
  Command command;
  command.program = closed + "/echo";
  command.arguments = {"here"};
  command.directory = "/";
  command.exec = folder.exec;
  command.by_descriptor = true;
  auto const ran = run(command, system_clock(), folder.stop);
  REQUIRE(ran.has_value());
  CHECK(ran->output == "here\n");
  command.program = closed + "/none";
  CHECK(run(command, system_clock(), folder.stop).error().code == "unknown_program");
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
  folder.stop = true;
  auto const ran = folder.run_script("sleep 1000", Millis{100'000});
  REQUIRE_FALSE(ran.has_value());
  CHECK(ran.error().code == "interrupted");
}

TEST_CASE("whatever a program leaves ends with it: sessions of their own, children of children, what ignores signals") {
  for (std::string const body : {
           "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3",
           "(setsid sh -c '(trap \"\" TERM HUP; echo $$; sleep 1000) & wait' &) ; sleep 0.3",
           "setsid sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 1000\" & exit' & sleep 0.3",
       }) {
    CAPTURE(body);
    ReleaseFolder folder;
    auto const ran = folder.run_script(body, Millis{20'000});
    REQUIRE(ran.has_value());
    CHECK(ran->ok());
    REQUIRE(ran->output.find('\n') != std::string::npos);
    CHECK(is_gone(ran->output.substr(0, ran->output.find('\n'))));
  }
}

TEST_CASE("a program ends with the agent, however that ends") {
  ReleaseFolder folder;
  folder.script("run", "setsid sh -c 'echo $$ > \"$0\"; exec sleep 1000' \"$FLEET_TOLD\" & sleep 1000");
  auto const told = folder.open_folder() + "/pid";
  pid_t const agent = ::fork();
  if (agent == 0) {
    Command command;
    command.program = folder.slot() + "/run";
    command.directory = folder.slot();
    command.environment = {{"FLEET_TOLD", told}};
    command.timeout = Millis{100'000};
    command.exec = folder.exec;
    ::_exit(run(command, system_clock(), folder.stop).has_value() ? 0 : 1);
  }
  std::string pid;
  for (int tries = 0; tries < 1000 && pid.empty(); ++tries) {
    auto const text = system_fs().read(told, 64);
    if (text && text->ends_with('\n')) pid = text->substr(0, text->size() - 1);
    ::poll(nullptr, 0, 10);
  }
  REQUIRE_FALSE(pid.empty());
  ::kill(agent, SIGKILL);
  ::waitpid(agent, nullptr, 0);
  CHECK(is_gone(pid));
}

TEST_CASE("environment and limits are the owner's, what the proof says stands above them") {
  ReleaseFolder folder;
  folder.exec.environment = {{"LD_LIBRARY_PATH", "/usr/local/cuda/lib64"}, {"LANG", "de_DE.UTF-8"}, {"FLEET_MODEL", "other"}};
  folder.exec.limits.open_files = 99;
  auto const ran = folder.run_script("env; ulimit -n");
  REQUIRE(ran.has_value());
  for (std::string const line :
       {"LD_LIBRARY_PATH=/usr/local/cuda/lib64\n", "LANG=de_DE.UTF-8\n", "FLEET_MODEL=reader\n", "PATH=/usr/local/bin:/usr/bin:/bin\n", "\n99\n"}) {
    CAPTURE(line);
    CHECK(("\n" + ran->output).find(line) != std::string::npos);
  }
}

TEST_CASE("a program runs in the groups that the system gives its user") {
  ReleaseFolder folder;
  auto const user = program_user(folder.exec.run_as);
  REQUIRE(user.has_value());
  auto const ran = folder.run_script("id -G");
  REQUIRE(ran.has_value());
  std::istringstream words(ran->output);
  std::set<gid_t> got;
  for (gid_t group = 0; words >> group;) got.insert(group);
  std::set<gid_t> wanted(user->groups.begin(), user->groups.end());
  if (user->other) CHECK(got == wanted);
}

TEST_CASE("what keeps a program from running is told with path and errno, and whose fault it is") {
  ReleaseFolder folder;
  folder.put("text", "no program at all");
  auto const start = [&](std::string const& program, bool of_release) {
    Command command;
    command.program = program;
    command.directory = folder.slot();
    command.exec = folder.exec;
    command.of_release = of_release;
    return run(command, system_clock(), folder.stop);
  };
  auto const missing = start(folder.slot() + "/none", false);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == "unknown_program");
  CHECK(missing.error().detail.find(folder.slot() + "/none: No such file") != std::string::npos);
  // A file of the release that cannot be one is the release's own.
  auto const text = start(folder.slot() + "/text", true);
  REQUIRE(text.has_value());
  CHECK_FALSE(text->ok());
  CHECK(text->text.find("Permission denied") != std::string::npos);
  folder.script("text", "");
  folder.put("text", "still no program");
  auto const wrong = start(folder.slot() + "/text", true);
  REQUIRE(wrong.has_value());
  CHECK(wrong->text.find("Exec format error") != std::string::npos);
  if (::geteuid() != 0) return;
  // A folder that the user may not enter is the device's.
  REQUIRE(::chmod(folder.slot().c_str(), 0700) == 0);
  auto const closed = start(folder.slot() + "/text", true);
  REQUIRE_FALSE(closed.has_value());
  CHECK(closed.error().code == "not_started");
  CHECK(closed.error().detail.find("Permission denied") != std::string::npos);
}

TEST_CASE("as root nothing runs without a user of its own; unknown programs and users are named") {
  ReleaseFolder folder;
  folder.script("run", "exit 0");
  Command command;
  command.program = folder.slot() + "/run";
  command.directory = folder.slot();
  if (::geteuid() == 0) {
    auto const nobody = run(command, system_clock(), folder.stop);
    REQUIRE_FALSE(nobody.has_value());
    CHECK(nobody.error().code == "run_as_required");
    command.exec.run_as = "no-such-user";
    CHECK(run(command, system_clock(), folder.stop).error().code == "unknown_user");
  }
  command.exec = folder.exec;
  command.program = folder.slot() + "/none";
  CHECK(run(command, system_clock(), folder.stop).error().code == "unknown_program");
}

TEST_CASE("a command's first word is a file of the release or a program of the device, nothing else") {
  ReleaseFolder folder;
  folder.script("check.sh", "exit 0");
  Exec const exec{{}, {{"reader", "/usr/bin/meter-reader"}}, {}, {}};
  auto const of_release = resolve(system_fs(), {"check.sh", "-x"}, folder.slot(), exec);
  REQUIRE(of_release.has_value());
  CHECK(of_release->program == folder.slot() + "/check.sh");
  CHECK(of_release->arguments == std::vector<std::string>{"-x"});
  CHECK(resolve(system_fs(), {"reader"}, folder.slot(), exec)->program == "/usr/bin/meter-reader");
  for (std::string const word : {"", "/bin/sh", "../check.sh", "sh", "none"}) {
    CAPTURE(word);
    CHECK_FALSE(resolve(system_fs(), {word}, folder.slot(), exec).has_value());
  }
  CHECK_FALSE(resolve(system_fs(), {}, folder.slot(), exec).has_value());
}
