#pragma once

#include "core/base/result.hpp"

#include <string>
#include <vector>

namespace fleet::agent {

/// The sockets apps send to: a Unix datagram socket (0666: apps run as other users) and, where the owner wants it, loopback UDP.
class StatsdSockets {
public:
  /// A socket file left by a process that died is replaced. @errors io, conflict (the path is in use)
  static Result<StatsdSockets> open(std::string const& path, int udp_port);
  StatsdSockets(StatsdSockets&&) noexcept;
  StatsdSockets& operator=(StatsdSockets&&) = delete;
  ~StatsdSockets();
  /// For poll(2).
  [[nodiscard]] std::vector<int> const& descriptors() const { return fds_; }
  /// Everything that waits on one of them, a datagram a call, until it would block.
  template <class Take>
  void receive(int fd, Take const& take) {
    std::string datagram;
    while (read_one(fd, datagram)) take(datagram);
  }

private:
  StatsdSockets() = default;
  static bool read_one(int fd, std::string& out);
  std::vector<int> fds_;
  std::string path_;
};

}  // namespace fleet::agent
