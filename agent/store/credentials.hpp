#pragma once

#include "agent/store/identity.hpp"

namespace fleet::agent {

/// The renewal of a device's key and certificate, as files beside those in use. A key in a file is replaced by a new one; a key in a TPM stays.
/// At every instant a power cut leaves a credential that the server knows: the renewed one is kept before it is used, the one in use is put
/// aside only after the renewed one was, and the one before stays for a server that was restored from a backup of its time.
class Credentials {
public:
  Credentials(Fs& fs, Layout const& layout) : fs_(fs), dir_(layout.identity()) {}

  /// What to try, best first: the renewed one, the one in use, the one before; only pairs whose certificate is of their key, whatever a power cut
  /// left of the others. @errors io, corrupt (code `no_credential`: there is no such pair)
  [[nodiscard]] Result<std::vector<Credential>> load(Identity const& identity) const;
  /// The key to ask a renewal for: made once, and kept until its certificate has come. @errors io
  [[nodiscard]] Result<std::string> renewal_key(std::string const& key_in_use);
  /// The certificate that came for it.
  Result<void> keep_renewed(std::string const& certificate);
  /// The renewed one was used and is now the one in use. Does nothing where none is kept.
  Result<void> promote();

private:
  [[nodiscard]] Result<std::string> read(std::string const& name) const;  ///< empty when there is none
  Fs& fs_;
  std::string dir_;
};

}  // namespace fleet::agent
