#include "agent/telemetry/statsd_socket.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fleet::agent {
namespace {

constexpr std::size_t kDatagramMax = 64 * 1024;

Error failed(std::string_view doing, std::string const& what) {
  return {Kind::io, "socket_failed", fmt::format("{} {}: {}", doing, what, std::strerror(errno))};
}

Result<int> open_unix(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Kind::bad_input, "path_too_long",
                 fmt::format("{} is too long for a socket: {} bytes, at most {}", path, path.size(), sizeof address.sun_path - 1), "take a shorter --root"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int const fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket", path);
  ::unlink(path.c_str());  // the lock on the root says that no other agent listens
  bool const bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && ::chmod(path.c_str(), 0666) == 0;
  if (bound) return fd;
  auto error = failed("bind", path);
  ::close(fd);
  return error;
}

Result<int> open_udp(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int const fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  auto error = failed("bind", fmt::format("UDP 127.0.0.1:{}", port));
  if (fd >= 0) ::close(fd);
  return error;
}

}  // namespace

Result<StatsdSockets> StatsdSockets::open(std::string const& path, int udp_port) {
  StatsdSockets out;
  FLEET_TRY(int const unix_fd, open_unix(path));
  out.fds_.push_back(unix_fd);
  out.path_ = path;
  if (udp_port == 0) return out;
  FLEET_TRY(int const udp_fd, open_udp(udp_port));
  out.fds_.push_back(udp_fd);
  return out;
}

StatsdSockets::StatsdSockets(StatsdSockets&& other) noexcept : fds_(std::exchange(other.fds_, {})), path_(std::exchange(other.path_, {})) {}

StatsdSockets::~StatsdSockets() {
  for (int const fd : fds_) ::close(fd);
  if (!path_.empty()) ::unlink(path_.c_str());
}

bool StatsdSockets::read_one(int fd, std::string& out) {
  out.resize(kDatagramMax);
  auto const n = ::recv(fd, out.data(), out.size(), MSG_DONTWAIT);
  if (n < 0) return false;
  out.resize(static_cast<std::size_t>(n));
  return true;
}

}  // namespace fleet::agent
