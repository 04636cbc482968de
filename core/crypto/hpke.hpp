#pragma once

#include "core/crypto/private_key.hpp"

/// Hybrid public key encryption, RFC 9180, in base mode and for one message a context: DHKEM(P-256, HKDF-SHA256) or DHKEM(X25519, HKDF-SHA256) by what the
/// recipient's key is, HKDF-SHA256, ChaCha20-Poly1305. OpenSSL 3.0 has the parts and not the whole.
namespace fleet::crypto {

/// A recipient's public key: SubjectPublicKeyInfo, the same bytes for the same key.
/// @param pem  of P-256 or X25519 @errors bad_input (code `bad_key`)
[[nodiscard]] Result<Bytes> read_recipient(std::string_view pem);

/// What is authenticated and not encrypted: both sides must give the same.
struct HpkeContext {
  BytesView info;  ///< what the key is used for
  BytesView aad;   ///< what the message belongs to
};

/// `enc || ciphertext`: 65 or 32 bytes, then the plain text's length and 16.
/// @param recipient  as read_recipient gives it
/// @param seed       32 secret bytes that the ephemeral key is derived from (DeriveKeyPair, 7.1.3): the same seed and input give the same bytes, and no
///                   seed is ever used for two plain texts @errors bad_input (`bad_key`), internal
[[nodiscard]] Result<Bytes> hpke_seal(BytesView recipient, BytesView seed, HpkeContext const& context, BytesView plain);
/// @param key  the recipient's, in a device too, where it may decrypt @errors unauthenticated (`not_for_this_key`), unavailable (`key_device`)
[[nodiscard]] Result<Bytes> hpke_open(PrivateKey const& key, HpkeContext const& context, BytesView sealed);

}  // namespace fleet::crypto
