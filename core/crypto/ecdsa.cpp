#include "core/crypto/ecdsa.hpp"

#include "core/crypto/openssl.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>

#include <algorithm>

namespace fleet::crypto {
namespace {

constexpr std::size_t kNumberBytes = 32;
constexpr std::size_t kPointBytes = 65;
/// SubjectPublicKeyInfo of P-256 up to the point (RFC 5480, 2).
constexpr std::array<std::uint8_t, 26> kSpkiHead{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                                 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

using NumberPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

NumberPtr number(BytesView bytes) { return NumberPtr(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr)); }

Result<Bytes> write_key(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  int const size = i2d_PUBKEY(key, &der);
  if (size <= 0) return openssl_failure(Kind::signature, "bad_key", "public key in DER");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

}  // namespace

Result<Bytes> encode_key(EVP_PKEY* key) {
  FLEET_TRY(auto written, write_key(key));
  constexpr std::uint8_t kWholePoint = 0x04;
  bool const usual = written.size() == kSpkiHead.size() + kPointBytes && std::equal(kSpkiHead.begin(), kSpkiHead.end(), written.begin()) &&
                     written[kSpkiHead.size()] == kWholePoint;
  if (usual || !is_p256(key)) return written;
  KeyPtr const copy(EVP_PKEY_dup(key));  // it may be shared
  if (!copy || EVP_PKEY_set_utf8_string_param(copy.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1 ||
      EVP_PKEY_set_utf8_string_param(copy.get(), OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP) != 1)
    return openssl_failure(Kind::signature, "bad_key", "point of a public key");
  return write_key(copy.get());
}

Result<Bytes> ecdsa_der(BytesView r_and_s) {
  if (r_and_s.size() != 2 * kNumberBytes) return Error{Kind::signature, "bad_signature", fmt::format("a P-256 signature has 64 bytes, got {}", r_and_s.size())};
  SignaturePtr const parts(ECDSA_SIG_new());
  auto r = number(r_and_s.first(kNumberBytes)), s = number(r_and_s.last(kNumberBytes));
  if (!parts || !r || !s || ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return openssl_failure(Kind::signature, "bad_signature", "P-256 signature");
  static_cast<void>(r.release()), static_cast<void>(s.release());
  unsigned char* der = nullptr;
  int const size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size <= 0) return openssl_failure(Kind::signature, "bad_signature", "P-256 signature");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Result<PublicKey> p256_key(BytesView point) {
  if (point.size() != kPointBytes) return Error{Kind::signature, "bad_key", fmt::format("a P-256 point has 65 bytes, got {}", point.size())};
  Bytes der(kSpkiHead.begin(), kSpkiHead.end());
  der.insert(der.end(), point.begin(), point.end());
  auto const* at = der.data();
  KeyPtr const key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  BioPtr const pem(BIO_new(BIO_s_mem()));
  if (!key || !pem || PEM_write_bio_PUBKEY(pem.get(), key.get()) != 1) return openssl_failure(Kind::signature, "bad_key", "P-256 point");
  return PublicKey{"ecdsa", "ecdsa-sha2-nistp256", text_of(pem.get())};
}

}  // namespace fleet::crypto
