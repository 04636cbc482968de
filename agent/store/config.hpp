#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/net/proxy.hpp"
#include "core/proof/exec.hpp"
#include "core/wire/release.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// `update_lock:` of agent.yaml: when the owner's programs, or the owner, let an update be switched to.
struct UpdateLockRule {
  std::string file;  ///< relative ones from the root; empty: none
  Millis max_delay = std::chrono::hours{12};  ///< from the first refusal; then the lock keeps nothing back
  std::vector<std::string> consent;           ///< models that wait for a person's word
};

/// `unpack:` of agent.yaml: how much may come out of one archive of a release.
struct UnpackRule {
  std::uint64_t max_bytes = 64ULL << 30U;
  std::uint64_t ratio = 100;  ///< so many times its own size, and 16 MiB besides
};

/// Where a fact of the device is read anew at each start: exactly one of them.
struct FactSource {
  std::string file;               ///< its first line
  std::vector<std::string> exec;  ///< a name under `programs`, and its words; the first line of its output
};

/// DIR/agent.yaml: what the device's owner decides. Keys as in docs/devices.md; unknown ones are refused by name.
struct Config {
  std::string written;               ///< the file
  std::vector<std::string> servers;  ///< before those of the enrolment
  std::vector<std::string> sources;  ///< where files are fetched before anywhere else: http:// or https://, no servers of ours
  std::string sources_ca;            ///< certificates by which https sources are known, besides the system's; relative from the root; empty: none
  Millis poll_interval = std::chrono::minutes{15};
  double poll_jitter = 0.5;  ///< share of the interval, both ways
  bool long_poll = true;
  std::uint64_t bandwidth_bytes_per_s = 0;   ///< 0: no cap
  std::uint64_t download_bytes_per_day = 0;  ///< 0: no cap
  std::string metered = "auto";              ///< auto: as `metered_command` says; yes, no
  Millis telemetry_interval = std::chrono::seconds{60};
  Millis telemetry_idle = std::chrono::minutes{30};  ///< the interval while nothing is judged here; where only the other is written, the same as that
  Millis telemetry_health = std::chrono::hours{1};   ///< how often the device tells of itself at most: load, memory, disk, temperature, battery, uptime; 0: never
  std::uint64_t telemetry_bytes_per_day = 0;  ///< 0: no cap; beyond it intervals grow, changes of state are always sent
  int udp_port = 0;                           ///< StatsD on loopback; 0: none
  std::vector<std::string> telemetry_send;    ///< metrics that may leave the device, by name or `prefix*`; empty: all
  std::map<std::string, wire::MetricSchema, std::less<>> sensors;  ///< what the owner says of metrics, above what releases do
  proof::Exec exec;
  std::vector<std::string> switched_hook, removed_hook;
  std::map<std::string, std::string> report;    ///< facts of the device, before those of its enrolment
  std::map<std::string, FactSource> report_from;  ///< those that are read
  std::vector<std::string> handlers{"files"};   ///< how releases may be installed
  UnpackRule unpack;
  std::set<std::string> as_root;                ///< names under `programs` that install as root, where the agent is
  int keep_versions = 2;              ///< of each model, the current and the previous one among them
  std::uint64_t keep_max_bytes = 0;   ///< of all versions of a model; 0: no limit
  std::string memory_dir;             ///< in a tmpfs: where models are that may be on no disk as they are; absolute; empty: none is taken
  std::uint64_t memory_max_bytes = 0;  ///< of all of them; 0: as much as the folder's file system has
  std::string statsd_group;           ///< who may send to the StatsD socket besides the agent's own user and root; empty: the group of run_as
  std::optional<net::ProxyRules> proxy;  ///< nothing: as the environment says
  UpdateLockRule update_lock;
  std::map<std::string, std::string> inputs;  ///< by model: file or folder of inputs that its app recorded, absolute, for a shadow
  std::vector<std::string> unload_first;      ///< models whose app drops what it has before it loads what is new: no room for both is asked for
  std::string battery_file;                  ///< percent, as sysfs has it; empty: no battery
  std::string charging_file;                 ///< 1 or 0, or a battery's `status`, as sysfs has them; empty: not known
  std::string temperature_file;              ///< thousandths of a degree Celsius, as sysfs has it; empty: the hottest zone of /sys/class/thermal
  std::vector<std::string> metered_command;  ///< exit 0: the link is metered
};

/// Defaults where the file is absent. @errors bad_input with every wrong place: file, line and what is wrong
[[nodiscard]] Result<Config> load_config(Fs& fs, std::string const& path);
[[nodiscard]] Result<Config> parse_config(std::string_view yaml, std::string_view file = "agent.yaml");

}  // namespace fleet::agent
