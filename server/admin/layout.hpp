#pragma once

#include <string>

namespace fleet::admin {

/// Where things lie in the data folder. `fleet.db`, `blobs/` and `keys/` are the store's, the catalog's and the key ring's.
struct Layout {
  std::string dir;
  [[nodiscard]] std::string database() const { return dir + "/fleet.db"; }
  [[nodiscard]] std::string keys() const { return dir + "/keys"; }
  [[nodiscard]] std::string master_key() const { return keys() + "/master.sealed"; }
  [[nodiscard]] std::string ca_certificate() const { return dir + "/ca.pem"; }
  [[nodiscard]] std::string ca_key() const { return dir + "/ca.key"; }
  [[nodiscard]] std::string next_ca_key() const { return dir + "/ca-next.key"; }
  [[nodiscard]] std::string server_certificate() const { return dir + "/server.pem"; }
  [[nodiscard]] std::string server_key() const { return dir + "/server.key"; }
  [[nodiscard]] std::string admin_token() const { return dir + "/admin.token"; }
  [[nodiscard]] std::string endpoints() const { return dir + "/endpoints.json"; }
};

}  // namespace fleet::admin
