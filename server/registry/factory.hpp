#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

/// Devices that left their factory with a certificate: it lets them in without a join token, and names them.
namespace fleet::registry {

/// One entry of the file of factories (docs/operators.md, Factory certificates).
struct Factory {
  std::string name;                           ///< for the audit log
  std::string ca_pem;
  bool by_serial = false;                     ///< the device is named by the certificate's serial number, not by its common name
  std::string hardware;                       ///< empty: as the device claims
  wire::Labels labels;
  std::optional<std::set<std::string>> allowed;  ///< names; nothing: all that the CA certified
};
/// Paths in the file are relative to its folder. @errors bad_input with every wrong place, not_found, io
[[nodiscard]] Result<std::vector<Factory>> load_factories(Fs& fs, std::string const& path);

struct FactoryDevice {
  std::string id, hardware;
  wire::Labels labels;
  std::string origin;  ///< `factory NAME, serial S`
};
/// Which device a certificate stands for. @errors unauthenticated (certificate_not_trusted), forbidden (device_not_allowed), bad_input (no name in it)
[[nodiscard]] Result<FactoryDevice> recognise(std::vector<Factory> const& factories, BytesView certificate_der, SysTime now);

}  // namespace fleet::registry
