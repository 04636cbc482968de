#include "core/proof/process.hpp"

#include "core/proof/cgroup.hpp"
#include "core/proof/supervisor.hpp"
#include "core/base/fs.hpp"
#include "core/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace fleet::proof {
namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr int kPollMs = 50;
constexpr int kDrainTurns = 16;
/// What execve(2) says of a program that is wrong in itself; everything else is this device's trouble at this time.
constexpr auto kProgramsFault = std::to_array({ENOENT, ENOEXEC, ELIBBAD, E2BIG, ENOTDIR, EISDIR, EINVAL});
using What = SupervisorWord::What;

/// Words and variables as execve(2) wants them.
struct Words {
  std::vector<std::string> texts;
  std::vector<char*> pointers;
  void close() {
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
  }
};

/// The owner's variables win over ours, the proof's (FLEET_*) over both.
Words variables_of(Command const& command) {
  std::map<std::string, std::string> all{{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
  for (auto const* more : {&command.exec.environment, &command.environment})
    for (auto const& [key, value] : *more) all.insert_or_assign(key, value);
  Words out;
  for (auto const& [key, value] : all) out.texts.push_back(key + "=" + value);
  out.close();
  return out;
}

Words words_of(Command const& command) {
  Words out{{command.program}, {}};
  out.texts.insert(out.texts.end(), command.arguments.begin(), command.arguments.end());
  out.close();
  return out;
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

/// The same for what is handed on; `wanted` is false once it wants no more.
bool hand_on(int fd, std::function<bool(BytesView)> const& answers, bool& wanted) {
  std::array<std::uint8_t, 16'384> piece{};
  for (int turn = 0; turn < kDrainTurns && wanted; ++turn) {
    auto const n = ::read(fd, piece.data(), piece.size());
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    wanted = answers(BytesView(piece).first(static_cast<std::size_t>(n)));
  }
  return wanted;
}

/// All writers are gone, or have nothing there now.
bool is_empty(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) <= 0;
}

struct Pipe {
  Descriptor read, write;
  static std::optional<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

/// The agent's side of one supervisor.
struct Supervised {
  pid_t pid = -1;
  Descriptor output, told, life, answers;
  std::unique_ptr<ProgramGroup> group;
  std::optional<SupervisorWord> ended, failed;
  bool timed_out = false;
  Millis took{0};
  Tail tail;

  /// False: the supervisor has said its last word.
  bool listen() {
    SupervisorWord word;
    auto const got = ::read(told.get(), &word, sizeof word);
    if (got == static_cast<ssize_t>(sizeof word)) (word.what == What::ended ? ended : failed) = word;
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
  }

  void watch(Command const& command, Clock& clock, std::atomic<bool> const& stop) {
    auto const began = clock.mono(), deadline = began + command.timeout;
    bool wanted = true, answering = static_cast<bool>(answers);
    for (bool open = true, talks = true; talks;) {
      std::array<pollfd, 3> fds{{{told.get(), POLLIN, 0}, {open ? output.get() : -1, POLLIN, 0}, {answering ? answers.get() : -1, POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), kPollMs);
      if (open && fds[1].revents != 0) open = drain(output.get(), tail);
      if (answering && fds[2].revents != 0) answering = hand_on(answers.get(), command.answers, wanted);
      if (fds[0].revents != 0) talks = listen();
      bool const late = clock.mono() >= deadline;
      if (!life || (!late && !stop && wanted)) continue;
      timed_out = late && !ended;
      life.close();  // the order to end all
    }
    ::waitpid(pid, nullptr, 0);
    took = clock.mono() - began;
    drain(output.get(), tail);
    while (answering && wanted) answering = hand_on(answers.get(), command.answers, wanted) && !is_empty(answers.get());
  }
};

Error not_started(Command const& command, std::string_view doing, std::string const& path, int number) {
  auto const as = command.exec.run_as.empty() ? std::string() : fmt::format(" (as {})", command.exec.run_as);
  return {Kind::unavailable, "not_started", fmt::format("{} {}{}: {}", doing, path, as, std::strerror(number)),
          "nothing is wrong with the release: look at this device"};
}

/// What a program has open besides its output; -1 where it has none.
struct Opened {
  Descriptor input, image;
  static Result<Opened> of(Command const& command) {
    Opened out;
    if (!command.input.empty()) out.input = Descriptor(::open(command.input.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!command.input.empty() && !out.input) return system_error("open", command.input, errno);
    if (command.by_descriptor) out.image = Descriptor(::open(command.program.c_str(), O_PATH | O_CLOEXEC));
    if (command.by_descriptor && !out.image)
      return Error{Kind::not_found, "unknown_program", fmt::format("open {}: {}", command.program, std::strerror(errno)), "install it beside the agent"};
    return out;
  }
};

Result<Supervised> start(Command const& command, ProgramUser const& user) {
  FLEET_TRY(auto const opened, Opened::of(command));
  auto output = Pipe::make(), told = Pipe::make(), life = Pipe::make(), answers = Pipe::make();
  // Our ends alone do not block: a program that meets EAGAIN on its output would fail for being quick.
  auto const unblock = [](Pipe const& pipe) { return ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) == 0; };
  if (!output || !told || !life || !answers || !unblock(*output) || !unblock(*answers)) return not_started(command, "make pipes for", command.program, errno);
  Supervised out;
  out.group = ProgramGroup::make(own_cgroup(), command.exec.limits);
  auto words = words_of(command), variables = variables_of(command);
  Launch launch{command.program.c_str(), words.pointers.data(), variables.pointers.data(), command.directory.c_str(), &user, command.exec.limits};
  launch.count_processes = user.other && !(out.group && out.group->counts_processes());
  launch.output = output->write.get();
  launch.answers = command.answers ? answers->write.get() : -1;
  launch.input = opened.input.get();
  launch.image = opened.image.get();
  launch.told = told->write.get();
  launch.life = life->read.get();
  if (out.group) launch.group_procs = out.group->procs(), launch.group_end = out.group->end();
  out.pid = ::fork();
  if (out.pid == 0) supervise(launch);
  if (out.pid < 0) return not_started(command, "fork for", command.program, errno);
  out.output = std::move(output->read);
  if (command.answers) out.answers = std::move(answers->read);
  out.told = std::move(told->read);
  out.life = std::move(life->write);
  return out;
}

/// What kept the program from running, or nothing.
std::optional<Error> start_error(Command const& command, Supervised const& done) {
  if (!done.failed) return std::nullopt;
  auto const& word = *done.failed;
  if (word.what == What::not_confined) return not_started(command, "confine", command.program, word.error);
  if (word.what == What::no_folder) return not_started(command, "enter", command.directory, word.error);
  bool const own_fault = std::find(kProgramsFault.begin(), kProgramsFault.end(), word.error) != kProgramsFault.end() ||
                         (word.error == EACCES && ::access(command.program.c_str(), X_OK) != 0);  // else a folder above it, or a mount
  if (!own_fault) return not_started(command, "run", command.program, word.error);
  if (command.of_release) return std::nullopt;
  return Error{Kind::not_found, "unknown_program", fmt::format("run {}: {}", command.program, std::strerror(word.error)),
               "look at exec: {programs: {...}} in agent.yaml"};
}

Outcome outcome_of(Command const& command, Supervised const& done) {
  Outcome out;
  out.output = done.tail.text();
  out.timed_out = done.timed_out;
  out.took = done.took;
  out.peak_bytes = done.ended ? static_cast<std::uint64_t>(std::max(0L, done.ended->peak_kib)) * 1024 : 0;
  // A supervisor that was killed took the program with it.
  int const status = done.ended ? done.ended->status : SIGKILL;
  if (WIFEXITED(status)) out.exit_code = done.failed ? -1 : WEXITSTATUS(status);
  else out.exit_code = -1, out.signal = WTERMSIG(status);
  if (done.ended && done.ended->left_some) out.exit_code = -1;
  if (done.failed) out.text = fmt::format("could not be started: {}: {}", command.program, std::strerror(done.failed->error));
  else if (out.timed_out) out.text = fmt::format("still running after {}", to_string(command.timeout));
  else if (done.group && done.group->ran_out_of_memory())
    out.text = fmt::format("killed: more memory than the {} bytes of exec: {{limits: {{memory}}}}", command.exec.limits.memory_bytes);
  else if (out.signal != 0) out.text = fmt::format("killed by signal {}", out.signal);
  else if (done.ended->left_some) out.text = "left processes behind that cannot be ended";
  else out.text = fmt::format("ended with {}", out.exit_code);
  return out;
}

}  // namespace

void prepare_programs(Exec const& exec) {
  auto const counted = delegate_controllers(own_cgroup());
  if (!counted && exec.limits.memory_bytes > 0) log::warn("exec.memory_not_limited", {{"error", counted.error().detail}, {"hint", counted.error().hint}});
}

Result<Outcome> run(Command const& command, Clock& clock, std::atomic<bool> const& stop) {
  FLEET_TRY(auto const user, program_user(command.exec.run_as));
  FLEET_TRY(auto running, start(command, user));
  running.watch(command, clock, stop);
  if (stop) return Error{Kind::unavailable, "interrupted", "the agent was told to stop"};
  if (auto error = start_error(command, running)) return *std::move(error);
  return outcome_of(command, running);
}

Result<Command> resolve(Fs& fs, std::vector<std::string> const& words, std::string const& slot, Exec const& exec) {
  Error const unknown{Kind::not_found, "unknown_program",
                      fmt::format("'{}' is neither a file of the release nor a program of this device", words.empty() ? "" : words.front()),
                      "name it under exec: {programs: {...}} in agent.yaml"};
  // What the device's owner cannot name is a file of the release, and that is the release's own word.
  Error const missing{Kind::unprocessable, "not_in_release", fmt::format("'{}' is no file of the release", words.empty() ? "" : words.front())};
  if (words.empty() || words.front().empty()) return missing;
  Command out;
  out.exec = exec;
  out.of_release = !exec.programs.contains(words.front());
  if (!out.of_release) out.program = exec.programs.at(words.front());
  else if (is_safe_relative_path(words.front()) && fs.info(slot + "/" + words.front())) out.program = slot + "/" + words.front();
  else return words.front().find('/') == std::string::npos ? unknown : missing;
  out.arguments.assign(words.begin() + 1, words.end());
  out.directory = slot;
  return out;
}

}  // namespace fleet::proof
