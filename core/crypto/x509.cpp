#include "core/crypto/x509.hpp"

#include "core/crypto/certificates.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/openssl.hpp"
#include "core/crypto/private_key.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <ctime>

namespace fleet::crypto {
namespace {

Error failed(std::string const& doing) { return openssl_failure(Kind::internal, "openssl", doing); }

Result<CertificatePtr> read_certificate(std::string const& pem) {
  auto const bio = read_bio(pem);
  CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return openssl_failure(Kind::bad_input, "bad_certificate", "certificate in PEM");
  return certificate;
}

Result<RequestPtr> read_request(std::string const& pem) {
  auto const bio = read_bio(pem);
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
  if (!request) return openssl_failure(Kind::bad_input, "bad_request", "certificate request in PEM");
  return request;
}

std::string common_name_of(X509_NAME const* name) {
  char text[256] = {};
  int const size = X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(name), NID_commonName, text, sizeof text);
  return size < 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

bool set_common_name(X509_NAME* name, std::string const& value) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<unsigned char const*>(value.data()), static_cast<int>(value.size()), -1, 0) ==
         1;
}

/// As RFC 5280 has it, two digits of the year until 2049; X.509 has whole seconds. By its text, because OpenSSL's `time_t` may be narrower than ours.
bool set_time(ASN1_TIME* field, SysTime at) {
  auto text = to_rfc3339(at);
  std::erase_if(text, [](char c) { return c == '-' || c == 'T' || c == ':'; });
  return ASN1_TIME_set_string_X509(field, text.c_str()) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, std::string const& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ExtensionPtr const extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  std::unique_ptr<BIGNUM, Freer<BN_free>> const number(BN_new());
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

struct Template {
  std::string common_name;
  SysTime from, until;
  std::vector<std::pair<int, std::string>> extensions;
};

/// A certificate for `subject`, signed by `key` in the name of `issuer` (nullptr: of itself), in PEM.
Result<std::string> make_certificate(Template const& wanted, EVP_PKEY* subject, X509* issuer, EVP_PKEY* key) {
  CertificatePtr const made(X509_new());
  auto* const certificate = made.get();
  bool ok = certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
            set_time(X509_getm_notBefore(certificate), wanted.from) && set_time(X509_getm_notAfter(certificate), wanted.until) &&
            X509_set_pubkey(certificate, subject) == 1 && set_common_name(X509_get_subject_name(certificate), wanted.common_name) &&
            X509_set_issuer_name(certificate, X509_get_subject_name(issuer == nullptr ? certificate : issuer)) == 1;
  for (auto const& [nid, value] : wanted.extensions) ok = ok && add_extension(certificate, issuer == nullptr ? certificate : issuer, nid, value);
  if (!ok || X509_sign(certificate, key, EVP_sha256()) <= 0) return failed("make certificate for " + wanted.common_name);
  BioPtr const out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(out.get(), certificate) != 1) return failed("write certificate");
  return text_of(out.get());
}

bool is_address(std::string const& host) {
  bool const v4 = host.find_first_not_of("0123456789.") == std::string::npos;
  return v4 || host.find(':') != std::string::npos;
}

}  // namespace

Result<std::string> make_private_key() {
  KeyPtr const key(EVP_EC_gen("P-256"));
  BioPtr const out(BIO_new(BIO_s_mem()));
  if (!key || !out || PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) return failed("make P-256 key");
  return text_of(out.get());
}

Result<CertificateAndKey> make_ca(std::string const& common_name, SysTime from, SysTime until) {
  FLEET_TRY(auto const pem, make_private_key());
  FLEET_TRY(auto const key, PrivateKey::load(pem));
  Template const wanted{
      common_name,
      from,
      until,
      {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}, {NID_key_usage, "critical,keyCertSign,cRLSign"}, {NID_subject_key_identifier, "hash"}}};
  FLEET_TRY(auto certificate, make_certificate(wanted, key.get(), nullptr, key.get()));
  return CertificateAndKey{std::move(certificate), pem};
}

Result<CertificateAndKey> make_server_certificate(CertificateAndKey const& ca, std::vector<std::string> const& hosts, SysTime from, SysTime until) {
  if (hosts.empty()) return Error{Kind::bad_input, "no_host", "a server certificate needs at least one host"};
  std::string names;
  for (auto const& host : hosts) {
    auto const bad = host.empty() || host.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-*") != std::string::npos;
    if (bad) return Error{Kind::bad_input, "bad_host", fmt::format("'{}' is no DNS name or IP address", host)};
    names += fmt::format("{}{}:{}", names.empty() ? "" : ",", is_address(host) ? "IP" : "DNS", host);
  }
  FLEET_TRY(auto const issuer, read_certificate(ca.certificate));
  FLEET_TRY(auto const issuer_key, PrivateKey::load(ca.private_key));
  FLEET_TRY(auto const pem, make_private_key());
  FLEET_TRY(auto const key, PrivateKey::load(pem));
  Template const wanted{hosts.front(),
                        from,
                        until,
                        {{NID_basic_constraints, "critical,CA:FALSE"},
                         {NID_key_usage, "critical,digitalSignature"},
                         {NID_ext_key_usage, "serverAuth"},
                         {NID_subject_alt_name, names},
                         {NID_authority_key_identifier, "keyid"}}};
  FLEET_TRY(auto certificate, make_certificate(wanted, key.get(), issuer.get(), issuer_key.get()));
  return CertificateAndKey{std::move(certificate), pem};
}

Result<std::string> make_request(std::string const& private_key, std::string const& common_name) {
  FLEET_TRY(auto const key, PrivateKey::load(private_key));
  KeyDeviceTurn const turn(key);
  RequestPtr const request(X509_REQ_new());
  DigestContextPtr const digest(EVP_MD_CTX_new());
  bool const ok = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 && X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                  set_common_name(X509_REQ_get_subject_name(request.get()), common_name) &&
                  EVP_DigestSignInit_ex(digest.get(), nullptr, "SHA256", nullptr, key.properties(), key.get(), nullptr) == 1 &&
                  X509_REQ_sign_ctx(request.get(), digest.get()) > 0;
  BioPtr const out(BIO_new(BIO_s_mem()));
  if (!ok || !out || PEM_write_bio_X509_REQ(out.get(), request.get()) != 1) return failed("make certificate request");
  return text_of(out.get());
}

Result<RequestInfo> inspect_request(std::string const& request_pem) {
  FLEET_TRY(auto const request, read_request(request_pem));
  auto* const key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || !is_p256(key)) return Error{Kind::bad_input, "bad_request", "the request's key is not ECDSA P-256"};
  if (X509_REQ_verify(request.get(), key) != 1) return openssl_failure(Kind::signature, "bad_signature", "the request's own signature");
  FLEET_TRY(auto const digest, key_digest(X509_REQ_get_X509_PUBKEY(request.get())));
  return RequestInfo{common_name_of(X509_REQ_get_subject_name(request.get())), digest};
}

Result<std::string> issue_device_certificate(CertificateAndKey const& ca, std::string const& request_pem, std::string const& device_id, SysTime from,
                                             SysTime until) {
  FLEET_CHECK(inspect_request(request_pem));
  FLEET_TRY(auto const request, read_request(request_pem));
  FLEET_TRY(auto const issuer, read_certificate(ca.certificate));
  FLEET_TRY(auto const issuer_key, PrivateKey::load(ca.private_key));
  Template const wanted{device_id,
                        from,
                        until,
                        {{NID_basic_constraints, "critical,CA:FALSE"},
                         {NID_key_usage, "critical,digitalSignature"},
                         {NID_ext_key_usage, "clientAuth"},
                         {NID_authority_key_identifier, "keyid"}}};
  return make_certificate(wanted, X509_REQ_get0_pubkey(request.get()), issuer.get(), issuer_key.get());
}

Result<CertificateInfo> inspect_certificate(std::string const& certificate_pem) {
  FLEET_TRY(auto const certificate, read_certificate(certificate_pem));
  CertificateInfo out;
  out.common_name = common_name_of(X509_get_subject_name(certificate.get()));
  FLEET_TRY(out.key_sha256, key_digest(X509_get_X509_PUBKEY(certificate.get())));
  FLEET_TRY(out.not_before, read_time(X509_get0_notBefore(certificate.get())));
  FLEET_TRY(out.not_after, read_time(X509_get0_notAfter(certificate.get())));
  std::unique_ptr<BIGNUM, Freer<BN_free>> const serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr));
  char* const hex = serial ? BN_bn2hex(serial.get()) : nullptr;
  if (hex == nullptr) return failed("certificate serial");
  out.serial = hex;
  OPENSSL_free(hex);
  return out;
}

}  // namespace fleet::crypto
