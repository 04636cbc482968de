#pragma once

#include "core/crypto/keys.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::trust {

/// Keys by key id, and how many distinct ones must have signed. Key ids are opaque; distinct means distinct public keys.
struct KeySet {
  std::map<std::string, crypto::PublicKey> keys;
  int threshold = 1;
};

struct Signature {
  std::string key_id;
  Bytes bytes;
};

/// Counts the distinct public keys of `keys` that signed `message` (TUF 1.0.34, 4.2.1; CVE-2020-15093, go-tuf f5edbde: neither
/// signatures nor key ids). A threshold below 1 is never met (CVE-2026-23992). Signatures by others are passed over.
/// @param what  who should have signed, for the message
/// @errors signature (code `threshold_unmet`)
[[nodiscard]] Result<void> verify_signers(KeySet const& keys, std::vector<Signature> const& signatures, BytesView message, std::string_view what);

}  // namespace fleet::trust
