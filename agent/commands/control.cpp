#include "agent/commands/control.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

namespace fleet::agent {
namespace {

constexpr std::size_t kLineMax = 1024 * 1024;
constexpr Millis kSlow{1'000};
constexpr Millis kKnockAgain{20};

Error failed(std::string_view doing, std::string const& path) {
  return {Kind::io, "socket_failed", fmt::format("{} {}: {}", doing, path, std::strerror(errno))};
}

Result<sockaddr_un> address_of(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Kind::bad_input, "path_too_long",
                 fmt::format("{} is too long for a socket: {} bytes, at most {}", path, path.size(), sizeof address.sun_path - 1), "take a shorter --root"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// One exchange's descriptor and its deadline: however the peer doles out its bytes, all of it ends then.
class Exchange {
public:
  Exchange(int fd, Clock& clock, Millis patience) : fd_(fd), clock_(clock), until_(clock.mono() + patience) {}
  ~Exchange() { ::close(fd_); }
  Exchange(Exchange const&) = delete;

  [[nodiscard]] bool is_over() const { return clock_.mono() >= until_; }

  /// @errors unavailable (code `no_daemon`, `daemon_busy`), io
  Result<void> connect(sockaddr_un const& address, std::string const& path) const {
    for (;;) {
      if (::connect(fd_, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0) return {};
      if (errno == ENOENT || errno == ECONNREFUSED)
        return Error{Kind::unavailable, "no_daemon", fmt::format("no agent runs on {}", path), "start it: fleet-agent run --root DIR"};
      if (errno != EAGAIN && errno != EINTR) return failed("connect to", path);
      if (is_over()) return busy(path);
      ::poll(nullptr, 0, static_cast<int>(kKnockAgain.count()));  // others wait there already: no event tells when there is room
    }
  }

  /// Up to the newline; empty when the peer is slow, silent or too long.
  /// @param file  where what comes beside it goes
  [[nodiscard]] std::string read_line(Descriptor& file) const {
    std::string line;
    std::array<char, 4096> piece{};
    while (line.size() < kLineMax && is_ready(POLLIN)) {
      auto const n = receive(piece, file);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) break;
      line.append(piece.data(), static_cast<std::size_t>(n));
      if (line.back() == '\n') {
        line.pop_back();
        return line;
      }
    }
    return {};
  }

  /// @param file  goes beside its first bytes; null: none
  [[nodiscard]] bool write_line(std::string line, Descriptor const* file = nullptr) const {
    line += '\n';
    std::string_view left = line;
    while (!left.empty() && is_ready(POLLOUT)) {
      auto const n = send(left, left.size() == line.size() ? file : nullptr);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) return false;
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    return left.empty();
  }

  static Error busy(std::string const& path) {
    return {Kind::unavailable, "daemon_busy", fmt::format("the agent on {} did not answer in time", path), "it runs: try again"};
  }

private:
  /// As recv(2); the first descriptor that comes along is kept, the kernel drops what has no room.
  ssize_t receive(std::span<char> out, Descriptor& file) const {
    iovec bytes{out.data(), out.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> beside{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = beside.data();
    message.msg_controllen = beside.size();
    auto const n = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
    auto const* const header = n < 0 ? nullptr : CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      file = Descriptor(fd);
    }
    return n;
  }

  ssize_t send(std::string_view bytes, Descriptor const* file) const {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg(2) only reads it
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> beside{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (file != nullptr) {
      message.msg_control = beside.data();
      message.msg_controllen = beside.size();
      auto* const header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      int const fd = file->get();
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  }

  [[nodiscard]] bool is_ready(short events) const {
    for (;;) {
      auto const left = until_ - clock_.mono();
      if (left <= Millis{0}) return false;
      pollfd one{fd_, events, 0};
      int const ready = ::poll(&one, 1, static_cast<int>(left.count()));
      if (ready < 0 && errno == EINTR) continue;
      return ready == 1;
    }
  }

  int fd_;
  Clock& clock_;
  MonoTime until_;
};

}  // namespace

Result<ControlSocket> ControlSocket::open(std::string const& path) {
  FLEET_TRY(auto const address, address_of(path));
  int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket", path);
  ControlSocket socket(fd, path);
  ::unlink(path.c_str());  // the lock on the root says that no other daemon listens
  auto const mask = ::umask(0177);
  bool const bound = ::bind(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
  ::umask(mask);
  if (!bound || ::listen(fd, 8) != 0) return failed("listen on", path);
  return socket;
}

ControlSocket::ControlSocket(ControlSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

ControlSocket::~ControlSocket() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(path_.c_str());
}

void ControlSocket::serve(Answer const& answer, Clock& clock) {
  int const client = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  Exchange const exchange(client, clock, kSlow);
  Descriptor file;
  auto const line = exchange.read_line(file);
  // Who does not take the answer in time goes without; the daemon has other work.
  if (!line.empty()) static_cast<void>(exchange.write_line(answer(line, std::move(file))));
}

Result<std::string> ask_daemon(std::string const& path, std::string const& line, Clock& clock, Millis patience, Descriptor const* file) {
  FLEET_TRY(auto const address, address_of(path));
  int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket", path);
  Exchange const exchange(fd, clock, patience);
  FLEET_CHECK(exchange.connect(address, path));
  if (!exchange.write_line(line, file)) return Exchange::busy(path);
  Descriptor none;
  auto answer = exchange.read_line(none);
  if (answer.empty()) return Exchange::busy(path);
  return answer;
}

}  // namespace fleet::agent
