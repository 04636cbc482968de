#pragma once

#include "core/base/fs.hpp"
#include "core/crypto/keys.hpp"

#include <memory>
#include <string>
#include <string_view>

/// Private keys in tokens that speak PKCS #11 (OASIS, 3.0).
namespace fleet::pkcs11 {

/// `pkcs11:token=release;object=alice?pin-source=file:/run/pin` (RFC 7512).
[[nodiscard]] bool is_uri(std::string_view text);

/// A private key that never leaves its token: Ed25519 (CKM_EDDSA) or ECDSA P-256 (CKM_ECDSA). Its public half must lie beside it, with the same CKA_ID.
class Key {
public:
  /// Finds the one token and the one key that the URI names, and logs in with the first line of the file `pin-source`.
  /// @errors bad_input (bad_key_uri: no such URI, it names several, or a PIN itself; bad_key: of another kind), not_found (no_key),
  /// unauthenticated (pin_needed, wrong_pin), unavailable (key_device: no such token, or what it says)
  [[nodiscard]] static Result<Key> open(std::string const& uri, Fs& fs);

  [[nodiscard]] crypto::PublicKey const& public_key() const { return public_key_; }
  /// As crypto::verify takes it: 64 bytes of Ed25519, DER of ECDSA. @errors unavailable (key_device), signature (the token gave one that does not verify)
  [[nodiscard]] Result<Bytes> sign(BytesView message) const;

private:
  class Session;
  Key(std::shared_ptr<Session> session, crypto::PublicKey public_key) : session_(std::move(session)), public_key_(std::move(public_key)) {}
  std::shared_ptr<Session> session_;
  crypto::PublicKey public_key_;
};

}  // namespace fleet::pkcs11
