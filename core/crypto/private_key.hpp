#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

struct evp_pkey_st;  // EVP_PKEY of OpenSSL

namespace fleet::crypto {

/// A private key to sign with: read from PEM, or left where it is and used through an OpenSSL provider (a TPM), which never gives it away.
class PrivateKey {
public:
  /// @param text  PKCS#8 PEM without a passphrase, or the URI of a key in a device (is_key_uri)
  /// @errors bad_input (no such key, or none of P-256 behind a URI), unavailable (code `key_device`: the provider or its device does not answer)
  [[nodiscard]] static Result<PrivateKey> load(std::string const& text);
  [[nodiscard]] evp_pkey_st* get() const { return key_.get(); }
  /// What OpenSSL must be told to sign with it (property(7)); null: nothing. Left alone it would take the public half of a key in a device to
  /// its own software, and find no private one.
  [[nodiscard]] char const* properties() const { return properties_; }
  [[nodiscard]] bool is_in_device() const { return properties_ != nullptr; }

private:
  PrivateKey(std::shared_ptr<evp_pkey_st> key, char const* properties) : key_(std::move(key)), properties_(properties) {}
  std::shared_ptr<evp_pkey_st> key_;
  char const* properties_;
};

/// What uses a key in a device takes turns: all that a process asks of a TPM is one conversation, which tpm2-openssl 1.1 does not guard, and two threads in it
/// spoil it for good. Of a key that is in no device nothing is held. May be taken again by who has it.
class KeyDeviceTurn {
public:
  explicit KeyDeviceTurn(bool in_device);
  explicit KeyDeviceTurn(PrivateKey const& key) : KeyDeviceTurn(key.is_in_device()) {}

private:
  std::unique_lock<std::recursive_mutex> held_;
};
/// Nothing was asked of a device yet, or it still answers. What lies between may have begun anew (a TPM's resource manager): to this process it never answers again.
[[nodiscard]] bool key_device_answers();
/// Whether it is one in a device, of a key that OpenSSL has.
[[nodiscard]] bool is_in_device(evp_pkey_st const* key);

/// ECDSA P-256 with SHA-256, in DER: what crypto::verify takes of `ecdsa-sha2-nistp256`. @errors signature (`cannot_sign`)
[[nodiscard]] Result<Bytes> sign(PrivateKey const& key, BytesView message);
/// Its public half, in PEM. @errors signature (`bad_key`)
[[nodiscard]] Result<std::string> public_pem(PrivateKey const& key);

/// `handle:0x81000001`, a persistent key of a TPM 2.0 (tpm2-openssl(7)): such a text is no secret.
[[nodiscard]] bool is_key_uri(std::string_view text);

}  // namespace fleet::crypto
