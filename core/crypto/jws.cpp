#include "core/crypto/jws.hpp"

#include "core/crypto/ecdsa.hpp"
#include "core/crypto/openssl.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace fleet::crypto {
namespace {

constexpr std::size_t kCoordinateBytes = 32;
constexpr int kRsaBitsMin = 2'048, kRsaBitsMax = 8'192;

using NumberPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using BuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Freer<OSSL_PARAM_BLD_free>>;
using ParametersPtr = std::unique_ptr<OSSL_PARAM, Freer<OSSL_PARAM_free>>;

Error bad_key(std::string detail) { return {Kind::bad_input, "bad_key", std::move(detail)}; }
Error refused(std::string detail) { return {Kind::signature, "bad_signature", std::move(detail)}; }

NumberPtr number(BytesView bytes) { return NumberPtr(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr)); }

/// A key of its parts, which OpenSSL checks: a point that is on the curve, a modulus that is odd.
Result<KeyPtr> make_key(char const* type, OSSL_PARAM_BLD* builder) {
  ParametersPtr const parameters(OSSL_PARAM_BLD_to_param(builder));
  KeyContextPtr const making(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* raw = nullptr;
  bool const made = parameters && making && EVP_PKEY_fromdata_init(making.get()) == 1 &&
                    EVP_PKEY_fromdata(making.get(), &raw, EVP_PKEY_PUBLIC_KEY, parameters.get()) == 1;
  KeyPtr key(raw);
  if (!made) return openssl_failure(Kind::bad_input, "bad_key", fmt::format("{} key", type));
  KeyContextPtr const checking(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (!checking || EVP_PKEY_public_check(checking.get()) != 1) return openssl_failure(Kind::bad_input, "bad_key", fmt::format("{} key", type));
  return key;
}

std::shared_ptr<void> share(KeyPtr key) { return {key.release(), [](void* handle) { EVP_PKEY_free(static_cast<EVP_PKEY*>(handle)); }}; }

}  // namespace

Result<JwsKey> JwsKey::rsa(BytesView modulus, BytesView exponent) {
  if (modulus.size() > kRsaBitsMax / 8 || exponent.size() > 5) return bad_key(fmt::format("an RSA key of {} bytes", modulus.size()));
  auto const n = number(modulus), e = number(exponent);
  if (!n || !e || BN_num_bits(n.get()) < kRsaBitsMin)
    return bad_key(fmt::format("an RSA key of {} bits, at least {} are asked for", n ? BN_num_bits(n.get()) : 0, kRsaBitsMin));
  if (BN_num_bits(e.get()) < 17 || BN_is_odd(e.get()) != 1) return bad_key("an RSA key's exponent is an odd number from 65537");
  BuilderPtr const builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return openssl_failure(Kind::bad_input, "bad_key", "RSA key");
  FLEET_TRY(auto key, make_key("RSA", builder.get()));
  return JwsKey("RS256", share(std::move(key)));
}

Result<JwsKey> JwsKey::p256(BytesView x, BytesView y) {
  if (x.size() != kCoordinateBytes || y.size() != kCoordinateBytes) return bad_key(fmt::format("a P-256 point has 32 and 32 bytes, got {} and {}", x.size(), y.size()));
  Bytes point{0x04};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  BuilderPtr const builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return openssl_failure(Kind::bad_input, "bad_key", "P-256 key");
  FLEET_TRY(auto key, make_key("EC", builder.get()));
  return JwsKey("ES256", share(std::move(key)));
}

Result<void> JwsKey::verify(BytesView message, BytesView signature) const {
  auto* const key = static_cast<EVP_PKEY*>(key_.get());
  Bytes der;
  if (algorithm_ == "ES256") {
    FLEET_TRY(der, ecdsa_der(signature));
    signature = der;
  }
  DigestContextPtr const context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;  // owned by the context
  bool ready = context && EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha256(), nullptr, key) == 1;
  if (ready && algorithm_ == "RS256") ready = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) == 1;
  if (!ready) return openssl_failure(Kind::signature, "bad_signature", "verify");
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1) return {};
  ERR_clear_error();
  return refused(fmt::format("the {} signature does not verify", algorithm_));
}

}  // namespace fleet::crypto
