#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/wire/device.hpp"

#include <string>
#include <vector>

namespace fleet::agent {

/// A private key (PEM, or the URI of one in a TPM) and the certificate that goes with it.
struct Credential {
  std::string private_key, certificate;
  bool operator==(Credential const&) const = default;
};

/// Who this device is, since its enrolment. The private key never leaves the folder (0600), or the TPM.
struct Identity {
  std::string id, hardware;
  std::vector<std::string> servers;
  wire::Labels reported;
  std::string private_key, certificate, ca;  ///< PEM, or a key's URI; certificate empty while the enrolment is pending
  std::string wrap_key = {};                 ///< what data keys come encrypted to: PEM, or a key's URI; empty: there is none, and no protected model is taken
};

/// @errors not_found (code `not_enrolled`), corrupt
[[nodiscard]] Result<Identity> load_identity(Fs& fs, Layout const& layout);
/// The certificate last: an identity without one is an enrolment that did not finish and may be tried again.
Result<void> save_identity(Fs& fs, Layout const& layout, Identity const& identity);
/// The CAs that servers are known by, anew.
Result<void> save_ca(Fs& fs, Layout const& layout, std::string const& ca);

}  // namespace fleet::agent
