#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "server/admin/database.hpp"

#include <string>
#include <vector>

namespace fleet {

struct RunOptions {
  std::string data_dir;
  std::string database = {};                                   ///< URL of a PostgreSQL; empty: as DIR/server.yaml says, else DIR/fleet.db
  admin::BlobsAt blobs = {};                                   ///< where the blobs lie; empty: as DIR/server.yaml says, else DIR/blobs
  std::uint64_t blobs_cache = std::uint64_t{20} << 30;         ///< bytes of copies on this disk, of blobs that lie elsewhere
  std::string api = "127.0.0.1:8443";
  std::string devices = "0.0.0.0:8444";
  std::string public_api_url = {};                             ///< how others reach the listeners (a balancer, a NAT); empty: as they listen
  std::string public_devices_url = {};
  std::string passphrase_file = {};                            ///< of the private keys, where they are sealed
  std::string factories_file = {};                             ///< which factories' certificates let devices in (docs/operators.md); empty: none
  Millis certificate_lifetime = std::chrono::hours{24} * 365;  ///< of devices' certificates and of the server's own
  std::uint64_t egress = 0;                                    ///< bytes of files a second, to all devices and people together; 0: no bound
  std::uint64_t content_bytes_max = std::uint64_t{20} << 30;   ///< of the disk, for deltas and other prepared routes; 0: none are prepared
  std::string telemetry = {};                                  ///< URL of a ClickHouse that keeps what devices measure; empty: as DIR/server.yaml says, else the database does
  std::string telemetry_password_file = {};
  std::string telemetry_ca_file = {};
  std::int64_t telemetry_waiting_max = 500'000;                ///< rows that may wait for it in the database
  std::vector<std::string> balancers = {};                     ///< addresses and ranges whose connections begin with a PROXY header (docs/operators.md)
};
/// Serves until SIGTERM or SIGINT, then drains. Call before any thread is started: it blocks signals for all of them.
/// @errors not_found (no data folder), conflict (in use), unavailable (address), bad_input
Result<void> run(RunOptions const& options);

}  // namespace fleet
