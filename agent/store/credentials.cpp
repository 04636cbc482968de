#include "agent/store/credentials.hpp"

#include "core/crypto/certificates.hpp"
#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::size_t kBytesMax = 256 * 1024;
constexpr unsigned kOwnerOnly = 0600;
constexpr char kKey[] = "/key.pem", kCertificate[] = "/certificate.pem";
constexpr char kRenewedKey[] = "/renewed-key.pem", kRenewed[] = "/renewed-certificate.pem";
constexpr char kPreviousKey[] = "/previous-key.pem", kPrevious[] = "/previous-certificate.pem";

/// A key in a TPM is not asked: it stays, and its certificates are all of it.
bool fits(Credential const& one) {
  if (one.private_key.empty() || one.certificate.empty()) return false;
  if (crypto::is_key_uri(one.private_key)) return true;
  auto const key = crypto::public_key_digest(one.private_key);
  auto const certificate = crypto::inspect_certificate(one.certificate);
  return key && certificate && certificate->key_sha256 == *key;
}

}  // namespace

Result<std::string> Credentials::read(std::string const& name) const {
  auto text = fs_.read(dir_ + name, kBytesMax);
  return !text && text.error().kind == Kind::not_found ? Result<std::string>(std::string()) : text;
}

Result<std::vector<Credential>> Credentials::load(Identity const& identity) const {
  FLEET_TRY(auto const renewed_key, read(kRenewedKey));
  FLEET_TRY(auto const renewed, read(kRenewed));
  FLEET_TRY(auto const previous_key, read(kPreviousKey));
  FLEET_TRY(auto const previous, read(kPrevious));
  // A renewed certificate without a key of its own is of the key in use: one in a TPM, or a promotion that was cut.
  std::vector<Credential> out{{renewed_key, renewed}, {identity.private_key, renewed}, {identity.private_key, identity.certificate}, {previous_key, previous}};
  std::erase_if(out, [](Credential const& one) { return !fits(one); });
  if (out.empty())
    return Error{Kind::corrupt, "no_credential", fmt::format("no certificate in {} is of a key that lies there", dir_), "enrol the device anew"};
  return out;
}

Result<std::string> Credentials::renewal_key(std::string const& key_in_use) {
  if (crypto::is_key_uri(key_in_use)) return key_in_use;
  FLEET_TRY(auto key, read(kRenewedKey));
  if (!key.empty()) return key;
  FLEET_TRY(key, crypto::make_private_key());
  FLEET_CHECK(fs_.replace(dir_ + kRenewedKey, key, kOwnerOnly));
  return key;
}

Result<void> Credentials::keep_renewed(std::string const& certificate) { return fs_.replace(dir_ + kRenewed, certificate); }

Result<void> Credentials::promote() {
  FLEET_TRY(auto const renewed, read(kRenewed));
  if (renewed.empty()) return {};
  FLEET_TRY(auto const renewed_key, read(kRenewedKey));
  if (!renewed_key.empty()) {
    FLEET_TRY(auto const key, read(kKey));
    FLEET_TRY(auto const certificate, read(kCertificate));
    FLEET_CHECK(fs_.replace(dir_ + kPreviousKey, key, kOwnerOnly));
    FLEET_CHECK(fs_.replace(dir_ + kPrevious, certificate));
    FLEET_CHECK(fs_.rename(dir_ + kRenewedKey, dir_ + kKey));
    FLEET_CHECK(fs_.sync_dir(dir_));  // the certificate must not overtake its key
  }
  FLEET_CHECK(fs_.rename(dir_ + kRenewed, dir_ + kCertificate));
  return fs_.sync_dir(dir_);
}

}  // namespace fleet::agent
