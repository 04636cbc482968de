#pragma once

#include "agent/report/spool.hpp"
#include "agent/slots/slots.hpp"
#include "agent/store/config.hpp"
#include "agent/store/identity.hpp"
#include "agent/store/journal.hpp"
#include "agent/store/trusted_clock.hpp"
#include "agent/store/watched_fs.hpp"
#include "agent/telemetry/collector.hpp"
#include "core/base/random.hpp"
#include "core/net/client.hpp"
#include "core/proof/process.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <string>

namespace fleet::agent {

/// The program that this agent is, where it was started so that it can be another one (docs/adr/0047).
struct OwnProgram {
  std::string slot;               ///< digest of the release that it is of; empty: a package's
  std::function<void()> restart;  ///< from any thread: ends this agent in an orderly way, and starts what `current` leads to
  std::function<void()> proved;   ///< nobody need end it any more
};

/// What the agent has of the world beside its disk and its clock.
struct Outside {
  net::Connect connect = net::over_network();
  proof::RunProgram run = &proof::run;
  bool alone = false;  ///< a model's files come on its own thread, one after the other
  std::optional<OwnProgram> own = {};
};

/// What the agent's threads share. Each part of it is thread-safe or used by one thread only.
struct Context {
  Fs& fs;
  Clock& clock;
  Clock& waits;  ///< what waits on sockets and programs is measured by: `clock`, save in tests that set that
  Random& random;
  Layout layout;
  Config config;
  Identity identity;
  TrustedClock trusted;
  Slots slots;
  Journal journal;  ///< what every model does
  std::unique_ptr<Spool> spool;
  Collector collector;
  std::atomic<bool> stop{false};
  bool journal_damaged = false;
  std::unique_ptr<WatchedFs> disk;  ///< what `fs` is
  Outside outside = {};
  std::string system = {};          ///< digest of what the device is: os, kernel, runtimes; empty: nobody looked
  std::string system_changes = {};  ///< since the agent ran last, in words
};

}  // namespace fleet::agent
