#pragma once

#include "core/crypto/data_key.hpp"
#include "server/signing/key_ring.hpp"

namespace fleet::signing {

/// What the objects of a protected release are encrypted with: out of the secret `data` of the key ring, which is made when it is first needed, and the
/// release's digest. Nothing of a release is kept for it. @errors as KeyRing::get_or_create
[[nodiscard]] Result<crypto::DataKey> data_key(KeyRing& keys, Digest const& release);

}  // namespace fleet::signing
