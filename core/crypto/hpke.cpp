#include "core/crypto/hpke.hpp"

#include "core/crypto/openssl.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <sodium.h>

#include <array>

namespace fleet::crypto {
namespace {

using KdfPtr = std::unique_ptr<EVP_KDF, Freer<EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, Freer<EVP_KDF_CTX_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Freer<BN_clear_free>>;
using GroupPtr = std::unique_ptr<EC_GROUP, Freer<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, Freer<EC_POINT_free>>;
using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;

constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kKeyBytes = crypto_aead_chacha20poly1305_ietf_KEYBYTES, kNonceBytes = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
                      kTagBytes = crypto_aead_chacha20poly1305_ietf_ABYTES;
constexpr std::uint16_t kHkdfSha256 = 1, kChaCha20Poly1305 = 3;  // RFC 9180, 7.2 and 7.3

/// RFC 9180, 7.1.
struct Kem {
  std::uint16_t id;
  std::size_t public_bytes;
  char const* type;  ///< OpenSSL's name
};
constexpr Kem kP256{0x0010, 65, "EC"}, kX25519{0x0020, 32, "X25519"};

Error failure(std::string const& doing) { return openssl_failure(Kind::internal, "openssl", doing); }
Error not_for_this_key() { return {Kind::unauthenticated, "not_for_this_key", "what was encrypted is for another key, or was changed"}; }

Result<Kem> kem_of(EVP_PKEY* key) {
  if (is_p256(key)) return kP256;
  if (EVP_PKEY_is_a(key, kX25519.type) == 1) return kX25519;
  return Error{Kind::bad_input, "bad_key", "the key is neither of P-256 nor of X25519"};
}

void append(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void append(Bytes& out, std::string_view text) { append(out, as_bytes(text)); }
void append(Bytes& out, std::uint16_t number) {
  out.push_back(static_cast<std::uint8_t>(number >> 8));
  out.push_back(static_cast<std::uint8_t>(number));
}

/// One step of RFC 5869. @param mode  EVP_KDF_HKDF_MODE_EXTRACT_ONLY (`key`: the input, `with`: the salt) or _EXPAND_ONLY (`key`: the pseudorandom key, `with`: the info)
Result<Bytes> hkdf(int mode, BytesView key, BytesView with, std::size_t length) {
  KdfPtr const kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  KdfContextPtr const context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  auto const octets = [](char const* name, BytesView bytes) { return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size()); };
  char digest[] = "SHA256";
  std::array<OSSL_PARAM, 5> const params{OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode), OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                         octets(OSSL_KDF_PARAM_KEY, key),
                                         octets(mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO, with), OSSL_PARAM_construct_end()};
  Bytes out(length);
  if (!context || EVP_KDF_derive(context.get(), out.data(), out.size(), params.data()) != 1) return failure("HKDF");
  return out;
}

/// LabeledExtract and LabeledExpand (RFC 9180, 4) of one suite.
class Schedule {
public:
  static Schedule of_kem(Kem const& kem) {
    Schedule out;
    append(out.suite_, "KEM");
    append(out.suite_, kem.id);
    return out;
  }
  static Schedule of_hpke(Kem const& kem) {
    Schedule out;
    append(out.suite_, "HPKE");
    append(out.suite_, kem.id);
    append(out.suite_, kHkdfSha256);
    append(out.suite_, kChaCha20Poly1305);
    return out;
  }
  [[nodiscard]] Result<Bytes> extract(BytesView salt, std::string_view label, BytesView input) const {
    Bytes labeled;
    append(labeled, "HPKE-v1");
    append(labeled, suite_);
    append(labeled, label);
    append(labeled, input);
    // RFC 5869, 2.2: no salt is as many zeros as the hash has bytes.
    Bytes const none(kHashBytes);
    return hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, labeled, salt.empty() ? BytesView(none) : salt, kHashBytes);
  }
  [[nodiscard]] Result<Bytes> expand(BytesView key, std::string_view label, BytesView info, std::size_t length) const {
    Bytes labeled;
    append(labeled, static_cast<std::uint16_t>(length));
    append(labeled, "HPKE-v1");
    append(labeled, suite_);
    append(labeled, label);
    append(labeled, info);
    return hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, key, labeled, length);
  }

private:
  Bytes suite_;
};

/// SerializePublicKey.
Result<Bytes> serialize(EVP_PKEY* key, Kem const& kem) {
  unsigned char* data = nullptr;
  std::size_t const size = EVP_PKEY_get1_encoded_public_key(key, &data);
  Bytes out(data, data + size);
  OPENSSL_free(data);
  if (size == kem.public_bytes) return out;
  return Error{Kind::bad_input, "bad_key", fmt::format("a public key of {} bytes, expected {}", size, kem.public_bytes)};
}

/// DeserializePublicKey: a point that is on the curve.
Result<KeyPtr> deserialize(BytesView bytes, Kem const& kem) {
  KeyPtr key;
  if (kem.id == kX25519.id) {
    key.reset(EVP_PKEY_new_raw_public_key_ex(nullptr, kem.type, nullptr, bytes.data(), bytes.size()));
  } else {
    char group[] = "prime256v1";
    std::array<OSSL_PARAM, 3> params{OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                                     OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::uint8_t*>(bytes.data()), bytes.size()),
                                     OSSL_PARAM_construct_end()};
    KeyContextPtr const context(EVP_PKEY_CTX_new_from_name(nullptr, kem.type, nullptr));
    EVP_PKEY* made = nullptr;
    if (context && EVP_PKEY_fromdata_init(context.get()) == 1 && EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.data()) == 1) key.reset(made);
    KeyContextPtr const check(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr) : nullptr);
    if (!check || EVP_PKEY_public_check(check.get()) != 1) key.reset();
  }
  ERR_clear_error();
  if (!key) return not_for_this_key();
  return key;
}

/// A key of P-256 by its number. Nothing: it is none (0, or beyond the order).
Result<KeyPtr> p256_of(BytesView scalar) {
  GroupPtr const group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  NumberPtr const number(BN_secure_new());
  PointPtr const point(group ? EC_POINT_new(group.get()) : nullptr);
  if (!number || !point || BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), number.get()) == nullptr) return failure("a key of P-256");
  if (BN_is_zero(number.get()) == 1 || BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0) return KeyPtr{};
  std::array<std::uint8_t, 65> encoded{};
  bool const placed = EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) == 1 &&
                      EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, encoded.data(), encoded.size(), nullptr) == encoded.size();
  ParamBuilderPtr const builder(OSSL_PARAM_BLD_new());
  bool const pushed = placed && builder && OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) == 1 &&
                      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), encoded.size()) == 1;
  ParamsPtr const params(pushed ? OSSL_PARAM_BLD_to_param(builder.get()) : nullptr);
  KeyContextPtr const context(EVP_PKEY_CTX_new_from_name(nullptr, kP256.type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 || EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.get()) != 1)
    return failure("a key of P-256");
  return KeyPtr(made);
}

/// DeriveKeyPair (RFC 9180, 7.1.3).
Result<KeyPtr> derive_key(Kem const& kem, BytesView seed) {
  auto const schedule = Schedule::of_kem(kem);
  FLEET_TRY(auto const root, schedule.extract({}, "dkp_prk", seed));
  if (kem.id == kX25519.id) {
    FLEET_TRY(auto const secret, schedule.expand(root, "sk", {}, 32));
    KeyPtr key(EVP_PKEY_new_raw_private_key_ex(nullptr, kem.type, nullptr, secret.data(), secret.size()));
    if (!key) return failure("a key of X25519");
    return key;
  }
  for (int counter = 0; counter < 256; ++counter) {
    std::array<std::uint8_t, 1> const number{static_cast<std::uint8_t>(counter)};
    FLEET_TRY(auto const candidate, schedule.expand(root, "candidate", number, 32));
    FLEET_TRY(auto key, p256_of(candidate));
    if (key) return key;
  }
  return Error{Kind::internal, "openssl", "no key comes of the seed"};
}

Result<Bytes> diffie_hellman(EVP_PKEY* own, char const* properties, EVP_PKEY* peer) {
  KeyContextPtr const context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, properties));
  std::size_t size = 0;
  bool const sized = context && EVP_PKEY_derive_init(context.get()) == 1 && EVP_PKEY_derive_set_peer(context.get(), peer) == 1 &&
                     EVP_PKEY_derive(context.get(), nullptr, &size) == 1;
  if (!sized) return openssl_failure(Kind::unavailable, "key_device", "key agreement");
  Bytes out(size);
  if (EVP_PKEY_derive(context.get(), out.data(), &size) != 1) return openssl_failure(Kind::unavailable, "key_device", "key agreement");
  out.resize(size);
  return out;
}

/// The key and nonce of a context's only message.
struct Cipher {
  Bytes key, nonce;
};
Result<Cipher> set_up(Kem const& kem, BytesView agreed, BytesView enc, BytesView recipient, BytesView info) {
  auto const in_kem = Schedule::of_kem(kem), in_hpke = Schedule::of_hpke(kem);
  Bytes both(enc.begin(), enc.end());
  append(both, recipient);
  FLEET_TRY(auto const extracted, in_kem.extract({}, "eae_prk", agreed));
  FLEET_TRY(auto const shared, in_kem.expand(extracted, "shared_secret", both, kHashBytes));
  FLEET_TRY(auto const no_id, in_hpke.extract({}, "psk_id_hash", {}));
  FLEET_TRY(auto const use, in_hpke.extract({}, "info_hash", info));
  Bytes context{0};  // mode_base
  append(context, no_id);
  append(context, use);
  FLEET_TRY(auto const secret, in_hpke.extract(shared, "secret", {}));
  Cipher out;
  FLEET_TRY(out.key, in_hpke.expand(secret, "key", context, kKeyBytes));
  FLEET_TRY(out.nonce, in_hpke.expand(secret, "base_nonce", context, kNonceBytes));
  return out;
}

Result<KeyPtr> recipient_key(BytesView der) {
  auto const* at = der.data();
  KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!key) return openssl_failure(Kind::bad_input, "bad_key", "a public key to encrypt to");
  return key;
}

}  // namespace

Result<Bytes> read_recipient(std::string_view pem) {
  auto const bio = read_bio(pem);
  KeyPtr const key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_failure(Kind::bad_input, "bad_key", "public key in PEM");
  FLEET_CHECK(kem_of(key.get()));
  return encode_key(key.get());
}

Result<Bytes> hpke_seal(BytesView recipient, BytesView seed, HpkeContext const& context, BytesView plain) {
  FLEET_TRY(auto const peer, recipient_key(recipient));
  FLEET_TRY(auto const kem, kem_of(peer.get()));
  FLEET_TRY(auto const own, derive_key(kem, seed));
  FLEET_TRY(auto out, serialize(own.get(), kem));
  FLEET_TRY(auto const theirs, serialize(peer.get(), kem));
  FLEET_TRY(auto const agreed, diffie_hellman(own.get(), nullptr, peer.get()));
  FLEET_TRY(auto const cipher, set_up(kem, agreed, out, theirs, context.info));
  auto const at = out.size();
  out.resize(at + plain.size() + kTagBytes);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data() + at, nullptr, plain.data(), plain.size(), context.aad.data(), context.aad.size(), nullptr,
                                            cipher.nonce.data(), cipher.key.data());
  return out;
}

Result<Bytes> hpke_open(PrivateKey const& key, HpkeContext const& context, BytesView sealed) {
  KeyDeviceTurn const turn(key);
  FLEET_TRY(auto const kem, kem_of(key.get()));
  if (sealed.size() < kem.public_bytes + kTagBytes) return not_for_this_key();
  auto const enc = sealed.first(kem.public_bytes), ciphertext = sealed.subspan(kem.public_bytes);
  FLEET_TRY(auto const peer, deserialize(enc, kem));
  // Of a key in a device OpenSSL does not encode the point: its public half is read first.
  FLEET_TRY(auto const public_half, encode_key(key.get()));
  FLEET_TRY(auto const own, recipient_key(public_half));
  FLEET_TRY(auto const ours, serialize(own.get(), kem));
  auto const agreed = diffie_hellman(key.get(), key.properties(), peer.get());
  // Without a device only the other's point can be at fault (X25519: one that gives zero, RFC 7748, 6.1).
  if (!agreed) return key.is_in_device() ? agreed.error() : not_for_this_key();
  FLEET_TRY(auto const cipher, set_up(kem, *agreed, enc, ours, context.info));
  Bytes out(ciphertext.size() - kTagBytes);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, ciphertext.data(), ciphertext.size(), context.aad.data(), context.aad.size(),
                                                cipher.nonce.data(), cipher.key.data()) != 0)
    return not_for_this_key();
  return out;
}

}  // namespace fleet::crypto
