#include "agent/store/credentials.hpp"

#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"

namespace fleet::agent {
namespace {

constexpr std::size_t kBytesMax = 256 * 1024;
constexpr unsigned kOwnerOnly = 0600;
constexpr char kKey[] = "/key.pem", kCertificate[] = "/certificate.pem";
constexpr char kRenewedKey[] = "/renewed-key.pem", kRenewed[] = "/renewed-certificate.pem";
constexpr char kPreviousKey[] = "/previous-key.pem", kPrevious[] = "/previous-certificate.pem";

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
  std::vector<Credential> out;
  if (!renewed.empty()) out.push_back({renewed_key.empty() ? identity.private_key : renewed_key, renewed});
  // A renewed certificate without a key of its own is of the key in use: one in a TPM, or a promotion that was cut, whose old certificate
  // no longer fits the key.
  if (renewed.empty() || !renewed_key.empty()) out.push_back({identity.private_key, identity.certificate});
  if (!previous_key.empty() && !previous.empty()) out.push_back({previous_key, previous});
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
