#pragma once

#include "core/base/fs.hpp"
#include "server/telemetry/clickhouse/sink.hpp"

#include <string>

namespace fleet::clickhouse {

/// What an operator says about it.
struct Settings {
  std::string url;                 ///< as of Address
  std::string password_file = {};  ///< its first line; empty: $FLEET_TELEMETRY_PASSWORD, or none
  std::string ca_file = {};        ///< of whoever vouches for it, with https; empty: the system's
  std::int64_t waiting_max = Sink::kWaitingMax;
};
/// @errors bad_input (code `bad_telemetry`), not_found, io
[[nodiscard]] Result<std::unique_ptr<Sink>> open(Settings const& settings, Fs& fs, store::Store& store, Clock& clock, Random& random);

}  // namespace fleet::clickhouse
