#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/wire/device.hpp"

#include <string>
#include <vector>

namespace fleet::agent {

/// Who this device is, since its enrolment. The private key never leaves the folder (0600).
struct Identity {
  std::string id, hardware;
  std::vector<std::string> servers;
  wire::Labels reported;
  std::string private_key, certificate, ca;  ///< PEM; certificate empty while the enrolment is pending
};

/// @errors not_found (code `not_enrolled`), corrupt
[[nodiscard]] Result<Identity> load_identity(Fs& fs, Layout const& layout);
/// The certificate last: an identity without one is an enrolment that did not finish and may be tried again.
Result<void> save_identity(Fs& fs, Layout const& layout, Identity const& identity);

}  // namespace fleet::agent
