#include "core/trust/key_set.hpp"

#include <fmt/format.h>

#include <set>

namespace fleet::trust {

Result<void> verify_signers(KeySet const& keys, std::vector<Signature> const& signatures, BytesView message, std::string_view what) {
  std::set<Bytes> signers;
  for (auto const& [id, bytes] : signatures) {
    auto const key = keys.keys.find(id);
    if (key == keys.keys.end() || !crypto::verify(key->second, message, bytes)) continue;
    FLEET_TRY(auto signer, crypto::key_bytes(key->second));
    signers.insert(std::move(signer));
  }
  if (keys.threshold >= 1 && signers.size() >= static_cast<std::size_t>(keys.threshold)) return {};
  return Error{Kind::signature, "threshold_unmet", fmt::format("{}: {} keys signed, {} are needed", what, signers.size(), keys.threshold)};
}

}  // namespace fleet::trust
