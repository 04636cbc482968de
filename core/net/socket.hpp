#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <cstdint>
#include <string>

#include <csignal>

namespace fleet::net {

/// Owns a file descriptor.
class Fd {
public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  int release();

private:
  int fd_ = -1;
};

/// Lets one thread end the wait of another (eventfd(2)). A wake is kept until somebody consumes it.
class Waker {
public:
  static Result<Waker> create();
  void wake();
  /// True when there was a wake; it is gone then.
  bool consume();
  [[nodiscard]] int fd() const { return fd_.get(); }

private:
  explicit Waker(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// What limits a blocking step: a point in time, and a person who may change their mind.
struct Patience {
  Clock& clock;
  MonoTime until;
  Waker& cancel;
};

/// Waits until `fd` is ready for `events` (poll(2)). @errors timeout, unavailable (`cancelled`)
Result<void> wait_for(int fd, short events, Patience const& patience);

/// A connected non-blocking socket; tries the addresses of `host` in turn, each with a fair share of the time left.
/// @errors unavailable (`name_unknown`, `connect_failed`, `cancelled`), timeout
Result<Fd> connect_to(std::string const& host, std::uint16_t port, Patience const& patience);

/// The system's words for an errno.
[[nodiscard]] std::string system_words(int error);

/// Keeps SIGPIPE from this thread while it lives: OpenSSL writes to the socket with write(2), which has no MSG_NOSIGNAL.
class SigpipeBlocked {
public:
  SigpipeBlocked();
  ~SigpipeBlocked();
  SigpipeBlocked(SigpipeBlocked const&) = delete;
  SigpipeBlocked& operator=(SigpipeBlocked const&) = delete;

private:
  bool was_pending_ = false;
  sigset_t before_{};
};

}  // namespace fleet::net
