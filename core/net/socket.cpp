#include "core/net/socket.hpp"

#include "core/net/resolve.hpp"

#include <fmt/format.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace fleet::net {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

int Fd::release() { return std::exchange(fd_, -1); }

std::string system_words(int error) { return std::generic_category().message(error); }

Result<Waker> Waker::create() {
  Fd fd{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  if (!fd) return Error{Kind::unavailable, "no_descriptor", fmt::format("eventfd: {}", system_words(errno))};
  return Waker{std::move(fd)};
}

void Waker::wake() {
  std::uint64_t const one = 1;
  // The counter cannot overflow in the life of a process, so the only failure is EAGAIN, which means: awake already.
  [[maybe_unused]] auto const written = ::write(fd_.get(), &one, sizeof one);
}

bool Waker::consume() {
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

Result<void> wait_for(int fd, short events, Patience const& patience) {
  for (;;) {
    auto const left = patience.until - patience.clock.mono();
    if (left <= Millis{0}) return Error{Kind::timeout, "timeout", "the peer did not answer before the deadline"};
    std::array<pollfd, 2> fds{{{fd, events, 0}, {patience.cancel.fd(), POLLIN, 0}}};
    auto const wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    int const ready = ::poll(fds.data(), fds.size(), wait_ms);
    if (ready < 0 && errno != EINTR) return Error{Kind::unavailable, "poll_failed", fmt::format("poll: {}", system_words(errno))};
    if (ready <= 0) continue;
    if (fds[1].revents != 0 && patience.cancel.consume()) return Error{Kind::unavailable, "cancelled", "the exchange was cancelled"};
    if (fds[0].revents != 0) return {};
  }
}

namespace {

Result<Fd> connect_one(SocketAddress const& address, Patience const& patience) {
  Fd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  auto const failed = [&](int error) {
    return Error{Kind::unavailable, "connect_failed", fmt::format("connect to {}: {}", to_string(address), system_words(error)),
                 "is the server running, and may this machine reach it?"};
  };
  if (!fd) return failed(errno);
  int const on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), address.get(), address.length) == 0) return fd;
  if (errno != EINPROGRESS) return failed(errno);
  if (auto const ready = wait_for(fd.get(), POLLOUT, patience); !ready) {
    auto error = ready.error();
    if (error.kind == Kind::timeout) error.detail = fmt::format("connect to {}: no answer before the deadline", to_string(address));
    return error;
  }
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return failed(error);
  return fd;
}

}  // namespace

Result<Fd> connect_to(std::string const& host, std::uint16_t port, Patience const& patience) {
  FLEET_TRY(auto const addresses, resolve(host, port, patience));
  Error last{Kind::unavailable, "name_unknown", fmt::format("host '{}' has no address", host)};
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    auto const now = patience.clock.mono();
    auto const share = (patience.until - now) / static_cast<std::int64_t>(addresses.size() - i);
    auto connected = connect_one(addresses[i], {patience.clock, now + share, patience.cancel});
    if (connected) return connected;
    last = connected.error();
    if (last.code == "cancelled") break;
  }
  return last;
}

SigpipeBlocked::SigpipeBlocked() {
  sigset_t pending;
  sigset_t pipe;
  ::sigpending(&pending);
  was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before_);
}

SigpipeBlocked::~SigpipeBlocked() {
  if (!was_pending_) {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    timespec const at_once{};
    while (::sigtimedwait(&pipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace fleet::net
