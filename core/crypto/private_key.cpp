#include "core/crypto/private_key.hpp"

#include "core/crypto/key_device.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>

namespace fleet::crypto {
namespace {

constexpr std::string_view kTpmScheme = "handle:";

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
  FLEET_TRY(auto opened, open_device_key(text));
  return PrivateKey(std::move(opened.key), opened.properties);
}

}  // namespace fleet::crypto
