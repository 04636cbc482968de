#pragma once

#include "agent/telemetry/collector.hpp"
#include "core/base/result.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Who may send to the Unix socket, beside root and the agent's own user: the members of `group` (`statsd: {group}` in agent.yaml); where none is named,
/// those of the primary group of `run_as`, as which programs of releases run. Neither: nobody else. @errors not_found (unknown_group, unknown_user)
[[nodiscard]] Result<std::optional<gid_t>> senders_of(std::string const& group, std::string const& run_as);

/// The sockets apps send to. The Unix one is kept by the kernel: its file belongs to `senders`, others get EACCES. Loopback UDP, where the owner wants it,
/// is open to every user of the device: what comes over it is no evidence.
class StatsdSockets {
public:
  struct Socket {
    int fd = -1;  ///< for poll(2)
    Collector::Source source = Collector::Source::known;
  };
  /// A socket file left by a process that died is replaced. @errors io, conflict (the path is in use)
  static Result<StatsdSockets> open(std::string const& path, std::optional<gid_t> senders, int udp_port);
  StatsdSockets(StatsdSockets&&) noexcept;
  StatsdSockets& operator=(StatsdSockets&&) = delete;
  ~StatsdSockets();
  [[nodiscard]] std::vector<Socket> const& sockets() const { return sockets_; }
  /// What waits on one of them; a thousand datagrams at most, then it is for poll(2) again.
  static void receive(Socket const& socket, Collector& collector);

private:
  StatsdSockets() = default;
  std::vector<Socket> sockets_;
  std::string path_;
};

}  // namespace fleet::agent
