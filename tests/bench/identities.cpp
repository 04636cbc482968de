#include "tests/bench/identities.hpp"

#include "core/base/fs.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

namespace fleet::bench {
namespace {

/// Keys with a pass phrase are not asked for at a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Identity make_identity() {
  Identity out;
  out.key = EVP_EC_gen("P-256");
  out.certificate.reset(X509_new());
  auto* const certificate = out.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 30L * 86'400);
  X509_set_pubkey(certificate, out.key);
  X509_sign(certificate, out.key, EVP_sha256());
  return out;
}

std::string key_hash(Identity const& identity) {
  unsigned char* der = nullptr;
  int const length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(identity.certificate.get()), &der);
  auto const hash = crypto::sha256(BytesView{der, static_cast<std::size_t>(length)});
  OPENSSL_free(der);
  return hash.hex();
}

}  // namespace

Result<void> make_identities(std::size_t count, std::string const& file) {
  net::SslPtr<BIO> const pem{BIO_new(BIO_s_mem())};
  for (std::size_t i = 0; i < count; ++i) {
    auto const identity = make_identity();
    PEM_write_bio_PrivateKey(pem.get(), identity.key, nullptr, nullptr, 0, nullptr, nullptr);
    PEM_write_bio_X509(pem.get(), identity.certificate.get());
    fmt::print("{}\n", key_hash(identity));
  }
  char* text = nullptr;
  auto const size = BIO_get_mem_data(pem.get(), &text);
  return system_fs().replace(file, {text, static_cast<std::size_t>(size)}, 0600);
}

Result<std::vector<Identity>> read_identities(std::string const& text) {
  net::SslPtr<BIO> const pem{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  std::vector<Identity> out;
  for (;;) {
    Identity one;
    one.key = PEM_read_bio_PrivateKey(pem.get(), nullptr, no_passphrase, nullptr);
    if (one.key == nullptr) return out;
    one.certificate.reset(PEM_read_bio_X509(pem.get(), nullptr, no_passphrase, nullptr));
    if (!one.certificate) return Error{Kind::bad_input, "bad_identities", fmt::format("identity {} has a key and no certificate", out.size())};
    out.push_back(std::move(one));
  }
}

}  // namespace fleet::bench
