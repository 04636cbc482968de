#include "core/crypto/key_device.hpp"

#include "core/crypto/private_key.hpp"

#include <fmt/format.h>
#include <openssl/provider.h>
#include <openssl/store.h>

#include <array>
#include <map>

namespace fleet::crypto {
namespace {

/// The TPM where it can, but for hashes and ciphers, where it would take milliseconds a block (tpm2-openssl, docs/initialization).
constexpr char kTpmSigns[] = "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes";

using StorePtr = std::unique_ptr<OSSL_STORE_CTX, Freer<OSSL_STORE_close>>;
using InfoPtr = std::unique_ptr<OSSL_STORE_INFO, Freer<OSSL_STORE_INFO_free>>;

Error no_device(std::string const& uri, std::string const& doing) {
  return {Kind::unavailable, "key_device", fmt::format("key {}: {}: {}", uri, doing, openssl_error()),
          "needs the package tpm2-openssl and a TPM; TPM2OPENSSL_TCTI names another way to it (tabrmd)"};
}

OSSL_PROVIDER const* tpm_provider = nullptr;  ///< whoever reads it has the turn

/// The default provider is loaded by hand, because naming any other keeps OpenSSL from doing so; it comes first, so that hashes, ciphers and randomness stay the
/// processor's. The other loads when there is a TPM to talk to: where its resource manager comes up later than this program, it is tried again.
bool load_providers() {
  static bool const has_default = OSSL_PROVIDER_load(nullptr, "default") != nullptr;
  if (has_default && tpm_provider == nullptr) tpm_provider = OSSL_PROVIDER_load(nullptr, "tpm2");
  return tpm_provider != nullptr;
}

Result<KeyPtr> open_uri(std::string const& uri) {
  if (!load_providers()) return no_device(uri, "OpenSSL's tpm2 provider does not load");
  StorePtr const store(OSSL_STORE_open(uri.c_str(), nullptr, nullptr, nullptr, nullptr));
  if (!store) return no_device(uri, "cannot be opened");
  while (OSSL_STORE_eof(store.get()) != 1) {
    InfoPtr const info(OSSL_STORE_load(store.get()));
    if (!info) break;
    if (OSSL_STORE_INFO_get_type(info.get()) != OSSL_STORE_INFO_PKEY) continue;
    KeyPtr key(OSSL_STORE_INFO_get1_PKEY(info.get()));
    if (!key || !is_p256(key.get())) return Error{Kind::bad_input, "bad_key", fmt::format("key {} is not ECDSA P-256", uri)};
    return key;
  }
  return no_device(uri, "no private key is there");
}

}  // namespace

Result<DeviceKey> open_device_key(std::string const& uri) {
  // Opened once and kept: all handles of one key share one object of the TPM's library, which goes with the first of them that is freed.
  static std::map<std::string, std::shared_ptr<EVP_PKEY>> opened;
  auto& kept = opened[uri];
  if (!kept) {
    FLEET_TRY(auto key, open_uri(uri));
    kept = std::move(key);
  }
  return DeviceKey{kept, kTpmSigns};
}

bool key_device_answers() {
  KeyDeviceTurn const turn(true);
  if (tpm_provider == nullptr) return true;
  // A hash that the TPM itself makes: no key is needed.
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  return EVP_Q_digest(nullptr, "SHA256", "provider=tpm2", "", 0, hash.data(), nullptr) == 1;
}

}  // namespace fleet::crypto
