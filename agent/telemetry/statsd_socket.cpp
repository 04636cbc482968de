#include "agent/telemetry/statsd_socket.hpp"

#include "core/base/log.hpp"
#include "core/base/users.hpp"

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
constexpr int kDatagramsAtOnce = 1'000;  // whoever floods the socket must not keep its thread from the owner's orders

Error failed(std::string_view doing, std::string const& what) {
  return {Kind::io, "socket_failed", fmt::format("{} {}: {}", doing, what, std::strerror(errno))};
}

/// Never, not for a moment, open to more than it should be: who connects stays connected.
Result<void> bind_for(int fd, sockaddr_un const& address, std::string const& path, std::optional<gid_t> senders) {
  auto const mask = ::umask(0177);
  bool const bound = ::bind(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
  ::umask(mask);
  if (!bound) return failed("bind", path);
  if (!senders) return {};
  bool const given = ::chown(path.c_str(), static_cast<uid_t>(-1), *senders) == 0 && ::chmod(path.c_str(), 0660) == 0;
  // Then nobody but the agent's own user sends: no reason to leave the device without its agent.
  if (!given) log::error("statsd.group_shut_out", {{"path", path}, {"group", *senders}, {"error", std::strerror(errno)}});
  return {};
}

Result<int> open_unix(std::string const& path, std::optional<gid_t> senders) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Kind::bad_input, "path_too_long",
                 fmt::format("{} is too long for a socket: {} bytes, at most {}", path, path.size(), sizeof address.sun_path - 1), "take a shorter --root"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int const fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("socket", path);
  ::unlink(path.c_str());  // the lock on the root says that no other agent listens
  auto const bound = bind_for(fd, address, path, senders);
  if (bound) return fd;
  ::close(fd);
  return bound.error();
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

Result<std::optional<gid_t>> senders_of(std::string const& group, std::string const& run_as) {
  if (!group.empty()) {
    FLEET_TRY(auto const found, find_group(group));
    if (!found) return Error{Kind::not_found, "unknown_group", fmt::format("there is no group {}", group), "statsd: {group: ...} in agent.yaml"};
    return found;
  }
  if (run_as.empty()) return std::optional<gid_t>{};
  FLEET_TRY(auto const found, find_user(run_as));
  if (!found) return Error{Kind::not_found, "unknown_user", fmt::format("there is no user {}", run_as), "exec: {run_as: ...} in agent.yaml"};
  return std::optional(found->gid);
}

Result<StatsdSockets> StatsdSockets::open(std::string const& path, std::optional<gid_t> senders, int udp_port) {
  StatsdSockets out;
  FLEET_TRY(int const unix_fd, open_unix(path, senders));
  out.sockets_.push_back({unix_fd, Collector::Source::known});
  out.path_ = path;
  if (udp_port == 0) return out;
  FLEET_TRY(int const udp_fd, open_udp(udp_port));
  out.sockets_.push_back({udp_fd, Collector::Source::anybody});
  return out;
}

StatsdSockets::StatsdSockets(StatsdSockets&& other) noexcept : sockets_(std::exchange(other.sockets_, {})), path_(std::exchange(other.path_, {})) {}

StatsdSockets::~StatsdSockets() {
  for (auto const& socket : sockets_) ::close(socket.fd);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void StatsdSockets::receive(Socket const& socket, Collector& collector) {
  std::string datagram(kDatagramMax, '\0');
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    auto const n = ::recv(socket.fd, datagram.data(), datagram.size(), MSG_DONTWAIT);
    if (n < 0) return;
    collector.take(std::string_view(datagram).substr(0, static_cast<std::size_t>(n)), socket.source);
  }
}

}  // namespace fleet::agent
