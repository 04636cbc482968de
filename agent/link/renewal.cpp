#include "agent/link/link.hpp"

#include "core/base/log.hpp"
#include "core/crypto/certificates.hpp"

#include <fmt/format.h>

namespace fleet::agent {

bool Link::mend(Error const& error) {
  // An expired certificate still opens the route that renews it (docs/protocol.md, renew).
  if (error.code == "server_certificate_expired") {
    auto const renewed = renew();
    if (!renewed) log::warn("renewal.failed", {{"code", renewed.error().code}, {"error", renewed.error().detail}});
    return renewed.has_value();
  }
  // A server that was restored from a backup may know only the credential before.
  if (error.code == "server_unknown_device" && credentials_.size() > 1) {
    use((used_ + 1) % credentials_.size());
    log::warn("credential.other_tried", {{"error", error.detail}});
    return used_ != 0;
  }
  // A succession of CAs that this device slept through, until the old one had expired: its announcement proves itself.
  if (error.code == "peer_not_trusted" || error.code == "clock_wrong") {
    auto const unproven = Remote::create_unproven(remote_.servers(), context_.waits, remote_.proxy(), remote_.connect());
    auto const followed = unproven ? follow_ca(**unproven) : unproven.error();
    if (!followed) log::warn("ca.not_followed", {{"code", followed.error().code}, {"error", followed.error().detail}});
    return followed && *followed;
  }
  return false;
}

void Link::use(std::size_t credential) {
  used_ = credential;
  all_.use(credentials_[used_]);
}

Result<bool> Link::renew() {
  auto const& identity = context_.identity;
  FLEET_TRY(auto const key, kept_.renewal_key(credentials_[used_].private_key));
  FLEET_TRY(auto const request, crypto::make_request(key, identity.id));
  FLEET_TRY(auto const answer, remote_.post("/device/v1/renew", wire::encode_renewal(request), Millis{30'000}, wire::kEnrollBytesMax * 8));
  FLEET_TRY(auto const response, wire::decode_enroll_response(answer.body));
  FLEET_TRY(auto const info, crypto::inspect_certificate(response.certificate));
  FLEET_TRY(auto const wanted, crypto::public_key_digest(key));
  if (info.key_sha256 != wanted || info.common_name != identity.id)
    return Error{Kind::signature, "foreign_certificate", fmt::format("the renewed certificate is for {} and key {}", info.common_name, info.key_sha256.hex())};
  FLEET_CHECK(kept_.keep_renewed(response.certificate));
  Credential renewed{key, response.certificate};
  auto const before = credentials_[used_];
  credentials_ = {std::move(renewed)};
  if (before.private_key != key) credentials_.push_back(before);
  use(0);
  proves_renewed_ = true;
  log::info("certificate.renewed", {{"until", to_rfc3339(info.not_after)}, {"serial", info.serial}});
  return true;
}

Result<bool> Link::follow_ca(Remote& remote) {
  FLEET_TRY(auto ca, authorities_.follow(remote));
  ca_version_ = authorities_.version();
  if (!ca) return false;
  all_.trust(*ca);
  log::info("ca.followed", {{"version", ca_version_}});
  return true;
}

}  // namespace fleet::agent
