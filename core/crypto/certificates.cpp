#include "core/crypto/certificates.hpp"

#include "core/crypto/hash.hpp"
#include "core/crypto/openssl.hpp"
#include "core/crypto/private_key.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>

#include <ctime>

namespace fleet::crypto {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;

/// OpenSSL's level 2: 112 bits. No SHA-1, no RSA below 2048 bits, neither in the certificate nor above it.
constexpr int kSecurityLevel = 2;

std::vector<CertificatePtr> read_all(std::string_view pem) {
  auto const bio = read_bio(pem);
  std::vector<CertificatePtr> out;
  while (auto* const certificate = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) out.emplace_back(certificate);
  ERR_clear_error();  // the end of the text is an error of OpenSSL's
  return out;
}

std::string to_pem(X509* certificate) {
  BioPtr const out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), certificate);
  return text_of(out.get());
}

Error no_certificate() { return {Kind::bad_input, "bad_certificate", "there is no certificate in the text", "expected PEM"}; }

}  // namespace

std::vector<std::string> split_certificates(std::string_view pem) {
  std::vector<std::string> out;
  for (auto const& certificate : read_all(pem)) out.push_back(to_pem(certificate.get()));
  return out;
}

Result<bool> is_issued_by(std::string const& certificate_pem, std::string const& ca_pem) {
  auto const certificates = read_all(certificate_pem), authorities = read_all(ca_pem);
  if (certificates.empty() || authorities.empty()) return no_certificate();
  bool const signed_by = X509_verify(certificates.front().get(), X509_get0_pubkey(authorities.front().get())) == 1;
  ERR_clear_error();
  return signed_by;
}

Result<Digest> public_key_digest(std::string const& private_key) {
  FLEET_TRY(auto const key, PrivateKey::load(private_key));
  KeyDeviceTurn const turn(key);
  FLEET_TRY(auto const bytes, encode_key(key.get()));
  return sha256(bytes);
}

Result<Digest> key_digest(X509_PUBKEY* key) {
  auto* const handle = key == nullptr ? nullptr : X509_PUBKEY_get0(key);
  if (handle == nullptr) return openssl_failure(Kind::bad_input, "bad_key", "public key of a certificate");
  FLEET_TRY(auto const bytes, encode_key(handle));
  return sha256(bytes);
}

Result<SysTime> read_time(ASN1_TIME const* field) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(field, &parts) != 1) return openssl_failure(Kind::bad_input, "bad_certificate", "a time in a certificate");
  return SysTime{std::chrono::seconds{::timegm(&parts)}};
}

int time_fault(X509 const* certificate, SysTime now) {
  auto const from = read_time(X509_get0_notBefore(certificate)), until = read_time(X509_get0_notAfter(certificate));
  if (!from) return X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD;
  if (!until) return X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD;
  if (now < *from) return X509_V_ERR_CERT_NOT_YET_VALID;
  return now > *until ? X509_V_ERR_CERT_HAS_EXPIRED : X509_V_OK;
}

Result<CertificateInfo> verify_client(BytesView certificate_der, std::string const& anchors_pem, SysTime now) {
  auto const* der = certificate_der.data();
  CertificatePtr const certificate(d2i_X509(nullptr, &der, static_cast<long>(certificate_der.size())));
  if (!certificate) return openssl_failure(Kind::bad_input, "bad_certificate", "client certificate in DER");
  StorePtr const store(X509_STORE_new());
  for (auto const& anchor : read_all(anchors_pem)) X509_STORE_add_cert(store.get(), anchor.get());
  StoreContextPtr const context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) != 1)
    return openssl_failure(Kind::internal, "openssl", "judge a client certificate");
  auto* const wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_CLIENT);
  X509_VERIFY_PARAM_set_auth_level(wanted, kSecurityLevel);
  int fault = X509_verify_cert(context.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
  auto* const chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; fault == X509_V_OK && i < sk_X509_num(chain); ++i) fault = time_fault(sk_X509_value(chain, i), now);
  if (fault != X509_V_OK) {
    ERR_clear_error();
    bool const foreign = fault == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || fault == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
                         fault == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || fault == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
    return Error{Kind::unauthenticated, foreign ? "certificate_of_others" : "certificate_not_trusted",
                 fmt::format("the client certificate was refused: {}", X509_verify_cert_error_string(fault))};
  }
  return inspect_certificate(to_pem(certificate.get()));
}

}  // namespace fleet::crypto
