#include "cli/trial/slow_pipe.hpp"

#include "core/base/descriptor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fleet::cli {
namespace {

constexpr Millis kLook{5};  ///< whether somebody reads, whether it is over
constexpr unsigned kAllRead = 0644;

}  // namespace

Result<std::unique_ptr<SlowPipe>> SlowPipe::make(std::string path, std::string text, Millis delay) {
  if (::mkfifo(path.c_str(), kAllRead) != 0 || ::chmod(path.c_str(), kAllRead) != 0)
    return Error{Kind::io, "io_failed", fmt::format("making the pipe {}: {}", path, std::strerror(errno))};
  return std::unique_ptr<SlowPipe>(new SlowPipe(std::move(path), std::move(text), delay));
}

SlowPipe::SlowPipe(std::string path, std::string text, Millis delay)
    : path_(std::move(path)), text_(std::move(text)), delay_(delay), thread_([this] { serve(); }) {}

SlowPipe::~SlowPipe() {
  stop_ = true;
  thread_.join();
  ::unlink(path_.c_str());
}

bool SlowPipe::pause(Millis time) const {
  for (; time > Millis{0} && !stop_; time -= kLook) ::poll(nullptr, 0, static_cast<int>(std::min(time, kLook).count()));
  return !stop_;
}

void SlowPipe::serve() {
  while (!stop_) {
    // Nobody reads yet: ENXIO. A blocking open would hold this thread when the program never reads.
    Descriptor const pipe(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (pipe) return feed(pipe.get());  // once: a reader that is slow to see the end would get it all again
    pause(kLook);
  }
}

void SlowPipe::feed(int fd) const {
  std::string_view left = text_;
  while (!left.empty()) {
    auto line = left.substr(0, std::min(left.find('\n'), left.size() - 1) + 1);
    left.remove_prefix(line.size());
    while (!line.empty()) {
      auto const sent = ::write(fd, line.data(), line.size());
      if (sent > 0) line.remove_prefix(static_cast<std::size_t>(sent));
      else if (errno != EAGAIN && errno != EINTR) return;  // it has read enough
      else if (!pause(kLook)) return;
    }
    if (!pause(delay_)) return;
  }
}

}  // namespace fleet::cli
