#pragma once

#include "core/crypto/key_files.hpp"
#include "server/services.hpp"

namespace fleet::upkeep {

/// What must be done at start and once an hour: sign online roles again before they expire, drop telemetry past its time.
/// @errors what signing says; at start they end the program
Result<void> tidy_up(store::Tx& tx, Services& services, SysTime now);
/// Renews the server's own certificate at two thirds of its lifetime, while it runs.
void schedule_renewal(Services& services, crypto::KeyFiles const& keys, std::vector<std::string> hosts);
/// Arms the hourly round on io thread 0, and one a minute that signs a log that grew by 1,000 entries; they end with the server.
void schedule_housekeeping(Services& services);

}  // namespace fleet::upkeep
