#include "server/signing/data_keys.hpp"

namespace fleet::signing {

Result<crypto::DataKey> data_key(KeyRing& keys, Digest const& release) {
  FLEET_TRY(auto const secret, keys.get_or_create("data"));
  return crypto::DataKey::derive(secret.seed(), release);
}

}  // namespace fleet::signing
