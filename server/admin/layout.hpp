#pragma once

#include <string>

namespace fleet::admin {

/// Where things lie in the data folder. `fleet.db`, `blobs/` and `keys/` are the store's, the catalog's and the key ring's.
struct Layout {
  std::string dir;
  std::string database_url = {};  ///< of a PostgreSQL; empty: the database is DIR/fleet.db
  std::string blobs_url = {};     ///< of a store of blobs that nodes may share; empty: DIR/blobs
  std::string telemetry_url = {};  ///< of a ClickHouse that samples are kept in; empty: in the database
  /// As the store takes it (server/store/place.hpp).
  [[nodiscard]] std::string const& place() const { return database_url.empty() ? dir : database_url; }
  [[nodiscard]] std::string settings() const { return dir + "/server.yaml"; }
  [[nodiscard]] std::string node() const { return dir + "/node.json"; }
  [[nodiscard]] std::string keys() const { return dir + "/keys"; }
  [[nodiscard]] std::string master_key() const { return keys() + "/master.sealed"; }
  [[nodiscard]] std::string ca_certificate() const { return dir + "/ca.pem"; }
  [[nodiscard]] std::string ca_key() const { return dir + "/ca.key"; }
  [[nodiscard]] std::string next_ca_key() const { return dir + "/ca-next.key"; }
  [[nodiscard]] std::string server_certificate() const { return dir + "/server.pem"; }
  [[nodiscard]] std::string server_key() const { return dir + "/server.key"; }
  [[nodiscard]] std::string admin_token() const { return dir + "/admin.token"; }
  /// Copies of blobs that lie elsewhere, and what is being put together of them: may be removed while no server runs.
  [[nodiscard]] std::string blobs_scratch() const { return dir + "/blobs-scratch"; }
  [[nodiscard]] std::string endpoints() const { return dir + "/endpoints.json"; }
};

}  // namespace fleet::admin
