#include "core/crypto/private_key.hpp"

#include "core/crypto/key_device.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/provider.h>

namespace fleet::crypto {
namespace {

constexpr std::string_view kTpmScheme = "handle:", kTpmProvider = "tpm2";

Result<KeyPtr> read_pem(std::string const& pem) {
  auto const bio = read_bio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_failure(Kind::bad_input, "bad_key", "private key in PEM");
  return key;
}

}  // namespace

bool is_key_uri(std::string_view text) { return text.starts_with(kTpmScheme); }

Result<PrivateKey> PrivateKey::load(std::string const& text) {
  if (!is_key_uri(text)) {
    FLEET_TRY(auto key, read_pem(text));
    return PrivateKey(std::shared_ptr<EVP_PKEY>(std::move(key)), nullptr);
  }
  KeyDeviceTurn const turn(true);
  FLEET_TRY(auto opened, open_device_key(text));
  return PrivateKey(std::move(opened.key), opened.properties);
}

KeyDeviceTurn::KeyDeviceTurn(bool in_device) {
  static std::recursive_mutex one;
  if (in_device) held_ = std::unique_lock(one);
}

bool is_in_device(EVP_PKEY const* key) {
  auto const* const provider = key == nullptr ? nullptr : EVP_PKEY_get0_provider(key);
  return provider != nullptr && OSSL_PROVIDER_get0_name(provider) == kTpmProvider;
}

Result<Bytes> sign(PrivateKey const& key, BytesView message) {
  KeyDeviceTurn const turn(key);
  DigestContextPtr const context(EVP_MD_CTX_new());
  std::size_t size = 0;
  bool const sized = context && EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, key.properties(), key.get(), nullptr) == 1 &&
                     EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) == 1;
  if (!sized) return openssl_failure(Kind::signature, "cannot_sign", "signature by the device's key");
  Bytes out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1)
    return openssl_failure(Kind::signature, "cannot_sign", "signature by the device's key");
  out.resize(size);
  return out;
}

Result<std::string> public_pem(PrivateKey const& key) {
  KeyDeviceTurn const turn(key);
  FLEET_TRY(auto const der, encode_key(key.get()));
  auto const* at = der.data();
  KeyPtr const half(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  BioPtr const out(BIO_new(BIO_s_mem()));
  if (!half || !out || PEM_write_bio_PUBKEY(out.get(), half.get()) != 1) return openssl_failure(Kind::signature, "bad_key", "public key in PEM");
  return text_of(out.get());
}

}  // namespace fleet::crypto
