#include "core/crypto/keys.hpp"

#include "core/crypto/hash.hpp"
#include "core/crypto/openssl.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include <stdexcept>

namespace fleet::crypto {
namespace {

void start_sodium() {
  static int const started = sodium_init();
  if (started < 0) throw std::runtime_error("libsodium does not start");
}

Error refused(std::string detail) { return {Kind::signature, "bad_signature", std::move(detail)}; }

/// libsodium refuses small-order keys and non-canonical encodings, which OpenSSL 3.0 accepts.
Result<void> verify_ed25519(std::string const& hex, BytesView message, BytesView signature) {
  auto const key = from_hex(hex);
  if (!key || key->size() != crypto_sign_PUBLICKEYBYTES) return refused("an ed25519 key is 64 hex characters");
  if (signature.size() != crypto_sign_BYTES) return refused(fmt::format("an ed25519 signature has 64 bytes, got {}", signature.size()));
  start_sodium();
  if (crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key->data()) != 0) return refused("ed25519 signature does not verify");
  return {};
}

/// The key of a PEM text, of the one kind that its type names.
Result<KeyPtr> read_public_key(std::string const& pem, bool rsa) {
  auto const bio = read_bio(pem);
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_failure(Kind::signature, "bad_key", "public key in PEM");
  if (rsa ? EVP_PKEY_is_a(key.get(), "RSA") != 1 || EVP_PKEY_get_bits(key.get()) < 2048 : !is_p256(key.get()))
    return refused(rsa ? "the key is not RSA of at least 2048 bits" : "the key is not ECDSA P-256");
  return key;
}

Result<void> verify_pem(std::string const& pem, bool rsa, BytesView message, BytesView signature) {
  FLEET_TRY(auto const key, read_public_key(pem, rsa));
  DigestContextPtr const context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;  // owned by the context
  bool ready = context && EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha256(), nullptr, key.get()) == 1;
  if (ready && rsa)
    ready = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_AUTO) == 1;
  if (!ready) return openssl_failure(Kind::signature, "bad_key", "verify");
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) != 1) {
    ERR_clear_error();
    return refused("signature does not verify");
  }
  return {};
}

}  // namespace

Result<void> verify(PublicKey const& key, BytesView message, BytesView signature) {
  if (key.keytype == "ed25519" && key.scheme == "ed25519") return verify_ed25519(key.value, message, signature);
  bool const ecdsa = key.keytype == "ecdsa" || key.keytype == "ecdsa-sha2-nistp256";
  if (ecdsa && key.scheme == "ecdsa-sha2-nistp256") return verify_pem(key.value, false, message, signature);
  if (key.keytype == "rsa" && key.scheme == "rsassa-pss-sha256") return verify_pem(key.value, true, message, signature);
  return refused(fmt::format("keys of type '{}' with scheme '{}' are not known", key.keytype.substr(0, 40), key.scheme.substr(0, 40)));
}

Result<Bytes> key_bytes(PublicKey const& key) {
  if (key.keytype == "ed25519") return from_hex(key.value);
  FLEET_TRY(auto const handle, read_public_key(key.value, key.keytype == "rsa"));
  return encode_key(handle.get());
}

Result<PublicKey> public_key_from_pem(std::string const& pem) {
  auto const bio = read_bio(pem);
  KeyPtr const key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_failure(Kind::signature, "bad_key", "public key in PEM");
  if (is_p256(key.get())) return PublicKey{"ecdsa", "ecdsa-sha2-nistp256", pem};
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> raw{};
  std::size_t size = raw.size();
  if (EVP_PKEY_is_a(key.get(), "ED25519") != 1 || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1 || size != raw.size())
    return Error{Kind::signature, "bad_key", "the key is neither ECDSA P-256 nor Ed25519"};
  return PublicKey{"ed25519", "ed25519", to_hex(raw)};
}

std::string key_id(PublicKey const& key) {
  return sha256(fmt::format(R"({{"keytype":"{}","keyval":{{"public":"{}"}},"scheme":"{}"}})", key.keytype, key.value, key.scheme)).hex();
}

SigningKey SigningKey::generate(Random& random) {
  std::array<std::uint8_t, kSeedBytes> seed{};
  random.fill(seed);
  auto key = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  return *key;
}

Result<SigningKey> SigningKey::from_seed(BytesView seed) {
  if (seed.size() != kSeedBytes) return Error{Kind::bad_input, "bad_key", fmt::format("an ed25519 seed has 32 bytes, got {}", seed.size())};
  start_sodium();
  SigningKey key;
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> unused{};
  crypto_sign_seed_keypair(unused.data(), key.secret_.data(), seed.data());
  return key;
}

SigningKey::~SigningKey() { sodium_memzero(secret_.data(), secret_.size()); }

PublicKey SigningKey::public_key() const { return {"ed25519", "ed25519", to_hex(BytesView(secret_).subspan(kSeedBytes))}; }

std::array<std::uint8_t, 64> SigningKey::sign(BytesView message) const {
  std::array<std::uint8_t, 64> signature{};
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
  return signature;
}

BytesView SigningKey::seed() const { return BytesView(secret_).first(kSeedBytes); }

}  // namespace fleet::crypto
