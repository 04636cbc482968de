#include "core/crypto/wrapped_key.hpp"

namespace fleet::crypto {
namespace {

constexpr std::string_view kUse = "fleet data key";

/// Whose it is: a release's digest has a fixed length, so that no device's name runs into it.
Bytes whose(std::string_view device, Digest const& release) {
  Bytes out(release.bytes.begin(), release.bytes.end());
  auto const name = as_bytes(device);
  out.insert(out.end(), name.begin(), name.end());
  return out;
}

}  // namespace

Result<std::string> wrap(DataKey const& key, BytesView recipient, std::string_view device, Digest const& release) {
  auto const aad = whose(device, release);
  // One ephemeral key for one plain text: of this key, this device and this recipient there is no other.
  auto input = aad;
  input.insert(input.end(), recipient.begin(), recipient.end());
  auto const seed = key.secret_for("wrap", input);
  FLEET_TRY(auto const sealed, hpke_seal(recipient, seed, {as_bytes(kUse), aad}, key.bytes()));
  return to_base64(sealed);
}

Result<DataKey> unwrap(PrivateKey const& own, std::string_view wrapped, std::string_view device, Digest const& release) {
  FLEET_TRY(auto const sealed, from_base64(wrapped));
  FLEET_TRY(auto const plain, hpke_open(own, {as_bytes(kUse), whose(device, release)}, sealed));
  return DataKey::from_bytes(plain);
}

}  // namespace fleet::crypto
