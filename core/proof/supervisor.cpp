#include "core/proof/supervisor.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

/// Between fork(2) and _exit(2): no memory is asked for, no lock taken.
namespace fleet::proof {
namespace {

constexpr int kNotStarted = 127;
constexpr int kHigh = 64;              ///< descriptors are lifted from here on while they are put in order
constexpr int kOldKernelFiles = 1024;  ///< before 5.9 there is no close_range(2)
constexpr int kNapMs = 5, kNapsMax = 1'000;
using What = SupervisorWord::What;

void tell(int to, SupervisorWord const& word) { [[maybe_unused]] auto const sent = ::write(to, &word, sizeof word); }

/// Puts the descriptors at `first`, `first + 1`, ... and closes all behind them; -1 stays.
template <std::size_t N>
void arrange(std::array<int*, N> const& wanted, int first) {
  for (int* const fd : wanted)
    if (*fd >= 0) *fd = ::fcntl(*fd, F_DUPFD_CLOEXEC, kHigh);
  int next = first;
  for (int* const fd : wanted)
    if (*fd >= 0) *fd = ::dup3(*fd, next++, O_CLOEXEC);
  if (::syscall(SYS_close_range, static_cast<unsigned>(next), ~0U, 0U) == 0) return;
  for (int fd = next; fd < kOldKernelFiles; ++fd) ::close(fd);
}

bool limit(__rlimit_resource what, std::uint64_t most) {
  rlimit const value{most, most};
  return ::setrlimit(what, &value) == 0;
}

bool confine(Launch const& launch) {
  auto const& limits = launch.limits;
  auto const& user = *launch.user;
  bool const limited = limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, limits.open_files) && limit(RLIMIT_FSIZE, limits.file_bytes) &&
                       (!launch.count_processes || limit(RLIMIT_NPROC, limits.processes));
  if (!limited || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (!user.other) return true;
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 && ::setgid(user.gid) == 0 && ::setuid(user.uid) == 0;
}

[[noreturn]] void become_program(Launch launch, pid_t supervisor) {
  auto const fail = [&launch](What what) {
    tell(launch.told, {what, errno});
    ::_exit(kNotStarted);
  };
  ::setsid();
  // A group that cannot be joined is no reason not to run: the supervisor finds what the program leaves without it, too.
  if (launch.group_procs >= 0) [[maybe_unused]]
    auto const joined = ::write(launch.group_procs, "0", 1);
  launch.group_procs = launch.group_end = launch.life = -1;
  arrange(std::array{&launch.output, &launch.told, &launch.answers, &launch.input, &launch.image}, 3);
  ::dup2(launch.input >= 0 ? launch.input : ::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  ::dup2(launch.answers >= 0 ? launch.answers : launch.output, 1);
  ::dup2(launch.output, 2);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (!confine(launch)) fail(What::not_confined);
  // After the change of user, which would undo it; and the supervisor may be gone by now.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != supervisor) ::_exit(kNotStarted);
  if (::chdir(launch.directory) != 0) fail(What::no_folder);
  if (launch.image >= 0) ::syscall(SYS_execveat, launch.image, "", launch.argv, launch.envp, AT_EMPTY_PATH);
  else ::execve(launch.program, launch.argv, launch.envp);
  fail(What::not_started);
  ::_exit(kNotStarted);
}

/// The parent that /proc/PID/stat names; 0 where there is none such. `name` is a number.
pid_t parent_of(int proc, char const* name) {
  std::array<char, 300> path{}, text{};
  std::size_t const size = ::strlen(name);
  if (size + 6 > path.size()) return 0;
  std::memcpy(path.data(), name, size);
  std::memcpy(path.data() + size, "/stat", 6);
  int const file = ::openat(proc, path.data(), O_RDONLY | O_CLOEXEC);
  auto const got = file < 0 ? -1 : ::read(file, text.data(), text.size() - 1);
  if (file >= 0) ::close(file);
  // PID (NAME) STATE PARENT: a name may hold anything, but it is short, and the last parenthesis is its end.
  char const* const end = got <= 0 ? nullptr : static_cast<char const*>(::memrchr(text.data(), ')', static_cast<std::size_t>(got)));
  if (end == nullptr || end + 4 >= text.data() + got) return 0;
  pid_t parent = 0;
  for (char const* digit = end + 4; *digit >= '0' && *digit <= '9'; ++digit) parent = parent * 10 + (*digit - '0');
  return parent;
}

/// Kills every child of this process. Their own children are ours then, for the next time.
void kill_children() {
  int const proc = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) return;
  auto const self = ::getpid();
  alignas(dirent64) std::array<char, 8192> entries{};
  for (;;) {
    auto const got = ::syscall(SYS_getdents64, proc, entries.data(), entries.size());
    if (got <= 0) break;
    for (long at = 0; at < got;) {
      auto const* const entry = reinterpret_cast<dirent64 const*>(entries.data() + at);
      at += entry->d_reclen;
      pid_t pid = 0;
      for (char const* digit = entry->d_name; pid >= 0 && *digit != '\0'; ++digit) pid = *digit >= '0' && *digit <= '9' ? pid * 10 + (*digit - '0') : -1;
      if (pid > 0 && parent_of(proc, entry->d_name) == self) ::kill(pid, SIGKILL);
    }
  }
  ::close(proc);
}

/// Ends all that is left and keeps how `child` ended. True: something withstands.
bool end_all(Launch const& launch, pid_t child, int& status) {
  for (int nap = 0; nap < kNapsMax; ++nap) {
    if (launch.group_end >= 0) [[maybe_unused]]
      auto const ended = ::write(launch.group_end, "1", 1);
    kill_children();
    pid_t gone = 0;
    for (int how = 0; (gone = ::waitpid(-1, &how, WNOHANG)) > 0;)
      if (gone == child) status = how;
    if (gone < 0 && errno == ECHILD) return false;
    ::poll(nullptr, 0, kNapMs);
  }
  return true;
}

/// Until the program has ended, or shall.
void wait_for(pid_t child, int life, int& status) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  std::array<pollfd, 2> fds{{{life, 0, 0}, {::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0}}};
  for (;;) {
    signalfd_siginfo signal{};
    [[maybe_unused]] auto const taken = ::read(fds[1].fd, &signal, sizeof signal);  // before the look, so that none is missed
    for (pid_t gone = 0; (gone = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (gone == child) return;
    if (::poll(fds.data(), fds.size(), -1) > 0 && fds[0].revents != 0) return;
  }
}

}  // namespace

void supervise(Launch const& given) {
  auto launch = given;
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  arrange(std::array{&launch.output, &launch.told, &launch.life, &launch.group_procs, &launch.group_end, &launch.answers, &launch.input, &launch.image}, 3);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  auto const self = ::getpid();
  pid_t const child = ::fork();
  if (child == 0) become_program(launch, self);
  if (child < 0) {
    tell(launch.told, {What::not_confined, errno});
    ::_exit(1);
  }
  for (int const fd : {launch.output, launch.answers, launch.input, launch.image})
    if (fd >= 0) ::close(fd);
  SupervisorWord word;
  wait_for(child, launch.life, word.status);
  word.left_some = end_all(launch, child, word.status);
  rusage used{};
  if (::getrusage(RUSAGE_CHILDREN, &used) == 0) word.peak_kib = used.ru_maxrss;  // a system call and no more, as all here
  tell(launch.told, word);
  ::_exit(0);
}

}  // namespace fleet::proof
