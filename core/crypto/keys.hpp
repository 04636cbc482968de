#pragma once

#include "core/base/bytes.hpp"
#include "core/base/random.hpp"

#include <array>
#include <string>

namespace fleet::crypto {

/// A public key as TUF metadata names it (TUF 1.0.34, 4.2): keytype `ed25519`, `ecdsa`, `ecdsa-sha2-nistp256`, `rsa`.
struct PublicKey {
  std::string keytype;
  std::string scheme;
  std::string value;  ///< ed25519: 64 hex characters; else PEM
  auto operator<=>(PublicKey const&) const = default;
};

/// SHA-256, in hex, of the canonical JSON of an ed25519 public key object (TUF 1.0.34, 4.2). Others' key ids are opaque and never recomputed.
[[nodiscard]] std::string key_id(PublicKey const& key);

/// The key itself, whichever way its text is written (letter case, line breaks, PEM headers, short or long point): two texts of one key
/// give the same bytes. What distinct signers are counted by. @errors signature, bad_input (no key of its type)
[[nodiscard]] Result<Bytes> key_bytes(PublicKey const& key);

/// A TUF key of a SubjectPublicKeyInfo in PEM: ECDSA P-256 stays PEM, Ed25519 becomes hex. @errors signature (`bad_key`: no such text, or of another kind)
[[nodiscard]] Result<PublicKey> public_key_from_pem(std::string const& pem);

/// Verifies `signature` over `message`. Ed25519 by libsodium only; ECDSA P-256 (DER) and RSASSA-PSS-SHA256 by OpenSSL.
/// @errors signature (does not verify, wrong length, unknown scheme)
[[nodiscard]] Result<void> verify(PublicKey const& key, BytesView message, BytesView signature);

/// An Ed25519 private key (RFC 8032), wiped from memory on destruction; never printed.
class SigningKey {
public:
  static constexpr std::size_t kSeedBytes = 32;
  [[nodiscard]] static SigningKey generate(Random& random);
  /// @errors bad_input (not 32 bytes)
  [[nodiscard]] static Result<SigningKey> from_seed(BytesView seed);
  ~SigningKey();
  SigningKey(SigningKey const&) = default;
  SigningKey& operator=(SigningKey const&) = default;

  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] std::string key_id() const { return crypto::key_id(public_key()); }
  [[nodiscard]] std::array<std::uint8_t, 64> sign(BytesView message) const;
  [[nodiscard]] BytesView seed() const;  ///< for its key file, and where it is a secret of another use (server/signing/data_keys.hpp)

private:
  SigningKey() = default;
  std::array<std::uint8_t, 64> secret_{};
};

}  // namespace fleet::crypto
