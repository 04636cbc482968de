#pragma once

#include "core/crypto/keys.hpp"

#include <map>
#include <string>

namespace fleet::trust {

/// Keys by key id, and how many distinct ones must have signed. Key ids are opaque; distinct means distinct public keys.
struct KeySet {
  std::map<std::string, crypto::PublicKey> keys;
  int threshold = 1;
};

}  // namespace fleet::trust
