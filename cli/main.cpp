#include "cli/commands/run.hpp"
#include "core/base/env.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>

namespace {

constexpr int kInterrupted = 130;
constexpr int kFailure = 1;

/// Following a rollout changes nothing and the terminal is left as it is, so an interrupt may end the program at once.
void interrupted(int) {
  if (::isatty(STDERR_FILENO) != 0) {
    constexpr std::string_view kBreak = "\n";
    [[maybe_unused]] auto const written = ::write(STDERR_FILENO, kBreak.data(), kBreak.size());
  }
  ::_exit(kInterrupted);
}

/// The process's own streams. What cannot be written ends the program: quietly where the reader went away, with a word otherwise.
class ProcessConsole final : public fleet::cli::Console {
public:
  void out(std::string_view text) override {
    while (!text.empty()) {
      auto const written = ::write(STDOUT_FILENO, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        if (errno != EPIPE) err(fmt::format("error: cannot write to standard output: {}\n", std::strerror(errno)));
        ::_exit(kFailure);
      }
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void err(std::string_view text) override { std::cerr << text << std::flush; }
  bool out_is_terminal() const override { return ::isatty(STDOUT_FILENO) != 0; }
  bool err_is_terminal() const override { return ::isatty(STDERR_FILENO) != 0; }
  bool interactive() const override { return ::isatty(STDIN_FILENO) != 0 && err_is_terminal(); }
  fleet::render::Window window() const override {
    for (auto const descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
      winsize size{};
      if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) return {size.ws_col, size.ws_row};
    }
    return {};
  }
  std::optional<std::string> ask(std::string_view question) override {
    err(question);
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  void pause(fleet::Millis time) override {
    timespec left{static_cast<std::time_t>(time.count() / 1000), static_cast<long>(time.count() % 1000 * 1'000'000)};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
};

std::string working_folder() {
  std::array<char, 4096> path{};
  return ::getcwd(path.data(), path.size()) == nullptr ? "." : path.data();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, interrupted);
  std::signal(SIGPIPE, SIG_IGN);
  ProcessConsole console;
  auto& clock = fleet::system_clock();
  fleet::cli::Surroundings const around{console, fleet::system_fs(), clock, clock, fleet::system_random(), fleet::environment, working_folder()};
  return fleet::cli::run({argv + 1, argv + argc}, around);
}
