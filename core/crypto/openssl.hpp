#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

/// OpenSSL's handles with their ends, for this folder's .cpp files.
namespace fleet::crypto {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Freer<X509_REQ_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

/// OpenSSL's own words for its last error; empties its queue.
[[nodiscard]] inline std::string openssl_error() {
  char text[256] = "no detail";
  if (auto const code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}
[[nodiscard]] inline Error openssl_failure(Kind kind, std::string code, std::string const& doing) {
  return {kind, std::move(code), doing + ": " + openssl_error()};
}
/// For every PEM_read_bio_*: left without, OpenSSL asks the terminal for the pass phrase of a text that says it is encrypted.
inline int no_passphrase(char*, int, int, void*) { return -1; }

[[nodiscard]] inline BioPtr read_bio(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }
[[nodiscard]] inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  long const size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// ECDSA keys of others and all X.509 keys are of this one curve.
[[nodiscard]] inline bool is_p256(EVP_PKEY* key) {
  char curve[64] = {};
  return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, curve, sizeof curve, nullptr) == 1 && std::string_view(curve) == "prime256v1";
}

/// SubjectPublicKeyInfo in DER: the same bytes for the same key. A point has a short, a long and a hybrid form and a curve a name and its
/// numbers, and a key that is told apart by its bytes must not become another one by writing it otherwise.
[[nodiscard]] Result<Bytes> encode_key(EVP_PKEY* key);
/// Both forms of X.509, UTCTime and GeneralizedTime.
[[nodiscard]] Result<SysTime> read_time(ASN1_TIME const* field);

}  // namespace fleet::crypto
