#include "core/crypto/data_key.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

namespace fleet::crypto {
namespace {

constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(DataKey::kOverhead == kNonceBytes + kTagBytes);

using Hash = std::array<std::uint8_t, 32>;

/// BLAKE2b (RFC 7693) with a key, of a use and what it is for; uses are not each other's beginnings, because their lengths go first.
Hash keyed(BytesView key, std::string_view use, BytesView input) {
  crypto_generichash_state state;
  auto const length = static_cast<std::uint8_t>(use.size());
  Hash out{};
  crypto_generichash_init(&state, key.data(), key.size(), out.size());
  crypto_generichash_update(&state, &length, 1);
  crypto_generichash_update(&state, as_bytes(use).data(), use.size());
  crypto_generichash_update(&state, input.data(), input.size());
  crypto_generichash_final(&state, out.data(), out.size());
  return out;
}

}  // namespace

DataKey::DataKey(BytesView bytes) { std::copy_n(bytes.begin(), kBytes, key_.begin()); }
DataKey::~DataKey() { sodium_memzero(key_.data(), key_.size()); }

DataKey DataKey::derive(BytesView secret, Digest const& release) { return DataKey(keyed(secret, "fleet data key", release.bytes)); }

Result<DataKey> DataKey::from_bytes(BytesView bytes) {
  if (bytes.size() != kBytes) return Error{Kind::bad_input, "bad_key", fmt::format("a data key has {} bytes, got {}", kBytes, bytes.size())};
  return DataKey(bytes);
}

std::array<std::uint8_t, 32> DataKey::secret_for(std::string_view use, BytesView input) const { return keyed(key_, use, input); }

Bytes DataKey::seal(BytesView piece) const {
  auto const nonce = keyed(key_, "nonce", piece), key = keyed(key_, "cipher", {});
  Bytes out(piece.size() + kOverhead);
  std::copy_n(nonce.begin(), kNonceBytes, out.begin());
  crypto_aead_xchacha20poly1305_ietf_encrypt(out.data() + kNonceBytes, nullptr, piece.data(), piece.size(), nullptr, 0, nullptr, out.data(), key.data());
  return out;
}

Result<Bytes> DataKey::open(BytesView sealed) const {
  Error const refused{Kind::unprocessable, "not_opened", "what was encrypted is of another key, or was changed"};
  if (sealed.size() < kOverhead) return refused;
  auto const key = keyed(key_, "cipher", {});
  auto const body = sealed.subspan(kNonceBytes);
  Bytes out(sealed.size() - kOverhead);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, body.data(), body.size(), nullptr, 0, sealed.data(), key.data()) != 0) return refused;
  return out;
}

}  // namespace fleet::crypto
