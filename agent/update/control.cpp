#include "agent/update/control.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fleet::agent {
namespace {

constexpr std::size_t kLineMax = 1024 * 1024;
constexpr int kSlowMs = 1000;

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

bool wait_for(int fd, short events) {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, kSlowMs) == 1;
}

/// Up to the newline; empty when the peer is slow, silent or too long.
std::string read_line(int fd) {
  std::string line;
  std::array<char, 4096> piece{};
  while (line.size() < kLineMax && wait_for(fd, POLLIN)) {
    auto const n = ::recv(fd, piece.data(), piece.size(), 0);
    if (n <= 0) break;
    line.append(piece.data(), static_cast<std::size_t>(n));
    if (line.back() == '\n') {
      line.pop_back();
      return line;
    }
  }
  return {};
}

bool write_line(int fd, std::string line) {
  line += '\n';
  std::string_view left = line;
  while (!left.empty() && wait_for(fd, POLLOUT)) {
    auto const n = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  return left.empty();
}

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

void ControlSocket::serve(Answer const& answer) {
  int const client = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  auto const line = read_line(client);
  if (!line.empty()) write_line(client, answer(line));
  ::close(client);
}

Result<std::string> ask_daemon(std::string const& path, std::string const& line) {
  FLEET_TRY(auto const address, address_of(path));
  Error const nobody{Kind::unavailable, "no_daemon", fmt::format("no agent runs on {}", path), "start it: fleet-agent run --root DIR"};
  int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket", path);
  bool const connected = ::connect(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
  auto out = connected && write_line(fd, line) ? read_line(fd) : std::string();
  ::close(fd);
  if (!connected || out.empty()) return nobody;
  return out;
}

}  // namespace fleet::agent
