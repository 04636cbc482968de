#include "agent/proof/process.hpp"

#include "core/base/fs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

namespace fleet::agent {
namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr int kPollMs = 50;
constexpr int kDrainTurns = 16;
constexpr int kNotStarted = 127;

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<std::optional<User>> user_of(std::string const& name) {
  if (::geteuid() != 0) return std::optional<User>();  // only root can become another
  if (name.empty())
    return Error{Kind::forbidden, "run_as_required", "the agent is root: programs of releases need a user of their own",
                 "set exec: {run_as: USER} in agent.yaml"};
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return Error{Kind::not_found, "unknown_user", fmt::format("there is no user '{}'", name), "set exec: {run_as: USER} in agent.yaml"};
  return std::optional(User{entry.pw_uid, entry.pw_gid});
}

/// Everything exec needs, made before fork: after it only async-signal-safe calls are allowed in a process with threads.
struct Prepared {
  std::vector<std::string> words, variables;
  std::vector<char*> argv, envp;
  std::optional<User> user;
  int output = -1;
};

Prepared prepare(Command const& command, std::optional<User> user, int output) {
  Prepared out{{command.program}, {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}, {}, {}, user, output};
  out.words.insert(out.words.end(), command.arguments.begin(), command.arguments.end());
  for (auto const& [key, value] : command.environment) out.variables.push_back(key + "=" + value);
  for (auto& word : out.words) out.argv.push_back(word.data());
  for (auto& variable : out.variables) out.envp.push_back(variable.data());
  out.argv.push_back(nullptr);
  out.envp.push_back(nullptr);
  return out;
}

void limit(__rlimit_resource what, rlim_t most) {
  rlimit const value{most, most};
  ::setrlimit(what, &value);
}

[[noreturn]] void become(Prepared const& prepared, char const* directory) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  int const null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(prepared.output, 1);
  ::dup2(prepared.output, 2);
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 256);
  limit(RLIMIT_FSIZE, rlim_t{256} << 20);
  bool ready = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::chdir(directory) == 0;
  if (ready && prepared.user) ready = ::setgroups(0, nullptr) == 0 && ::setgid(prepared.user->gid) == 0 && ::setuid(prepared.user->uid) == 0;
  if (ready) ::execve(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  ::_exit(kNotStarted);
}

/// The last bytes, as valid UTF-8: what is not printable ASCII becomes `?`.
class Tail {
public:
  void add(std::string_view piece) {
    for (char const c : piece) text_ += (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t' ? c : '?';
    if (text_.size() > 2 * kTailBytes) text_.erase(0, text_.size() - kTailBytes);
  }
  [[nodiscard]] std::string text() const { return text_.size() <= kTailBytes ? text_ : text_.substr(text_.size() - kTailBytes); }

private:
  std::string text_;
};

/// Reads what waits, and no more at a time than lets the deadline be looked at; false at the end of the output.
bool drain(int fd, Tail& tail) {
  std::array<char, 4096> piece{};
  for (int turn = 0; turn < kDrainTurns; ++turn) {
    auto const n = ::read(fd, piece.data(), piece.size());
    if (n > 0) tail.add({piece.data(), static_cast<std::size_t>(n)});
    else return n < 0 && (errno == EAGAIN || errno == EINTR);
  }
  return true;
}

void describe(Outcome& out, int status, Millis timeout) {
  if (WIFEXITED(status)) out.exit_code = WEXITSTATUS(status);
  else {
    out.exit_code = -1;
    out.signal = WTERMSIG(status);
  }
  if (out.timed_out) out.text = fmt::format("still running after {}", to_string(timeout));
  else if (out.signal != 0) out.text = fmt::format("killed by signal {}", out.signal);
  else if (out.exit_code == kNotStarted) out.text = "could not be started";
  else out.text = fmt::format("ended with {}", out.exit_code);
}

/// Waits for the program itself; its output may stay open in what it left behind, which the group's end closes.
Outcome supervise(pid_t child, int output, Command const& command, std::atomic<bool> const& stop) {
  Outcome out;
  Tail tail;
  auto& clock = system_clock();
  auto const deadline = clock.mono() + command.timeout;
  int status = 0;
  for (bool open = true;;) {
    if (open) {
      pollfd one{output, POLLIN, 0};
      ::poll(&one, 1, kPollMs);
      open = drain(output, tail);
    } else {
      ::poll(nullptr, 0, 1);
    }
    if (::waitpid(child, &status, WNOHANG) == child) break;
    out.timed_out = clock.mono() >= deadline;
    if (!out.timed_out && !stop) continue;
    ::kill(-child, SIGKILL);
    ::waitpid(child, &status, 0);
    break;
  }
  ::kill(-child, SIGKILL);  // what it started ends with it
  drain(output, tail);
  out.output = tail.text();
  describe(out, status, command.timeout);
  return out;
}

}  // namespace

Result<Outcome> run(Command const& command, std::atomic<bool> const& stop) {
  if (::access(command.program.c_str(), X_OK) != 0)
    return Error{Kind::not_found, "unknown_program", fmt::format("{}: {}", command.program, std::strerror(errno))};
  FLEET_TRY(auto const user, user_of(command.run_as));
  std::array<int, 2> pipe{};
  // Our end alone does not block: a program that meets EAGAIN on its output would fail for being quick.
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0 || ::fcntl(pipe[0], F_SETFL, O_NONBLOCK) != 0) return Error{Kind::unavailable, "no_pipe", std::strerror(errno)};
  auto const prepared = prepare(command, user, pipe[1]);
  pid_t const child = ::fork();
  if (child == 0) become(prepared, command.directory.c_str());
  int const fork_error = errno;
  ::close(pipe[1]);
  if (child < 0) {
    ::close(pipe[0]);
    return Error{Kind::unavailable, "no_process", std::strerror(fork_error)};
  }
  auto out = supervise(child, pipe[0], command, stop);
  ::close(pipe[0]);
  if (stop) return Error{Kind::unavailable, "interrupted", "the agent was told to stop"};
  return out;
}

Result<Command> resolve(std::vector<std::string> const& words, std::string const& slot, std::map<std::string, std::string> const& programs) {
  Error const unknown{Kind::not_found, "unknown_program",
                      fmt::format("'{}' is neither a file of the release nor a program of this device", words.empty() ? "" : words.front()),
                      "name it under exec: {programs: {...}} in agent.yaml"};
  if (words.empty()) return unknown;
  Command out;
  if (auto const named = programs.find(words.front()); named != programs.end()) out.program = named->second;
  else if (is_safe_relative_path(words.front()) && ::access((slot + "/" + words.front()).c_str(), F_OK) == 0) out.program = slot + "/" + words.front();
  else return unknown;
  out.arguments.assign(words.begin() + 1, words.end());
  out.directory = slot;
  return out;
}

}  // namespace fleet::agent
