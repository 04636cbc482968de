#include "server/delivery/protected.hpp"

#include "core/crypto/wrapped_key.hpp"
#include "server/delivery/queries.hpp"
#include "server/signing/data_keys.hpp"

#include <optional>

namespace fleet::delivery {
namespace {

/// Of the release that a target has its device bring, where it is protected.
Result<std::optional<Digest>> protected_release(db::Connection& reader, wire::DirectiveTarget const& target) {
  auto const hash = target.hashes.find("sha256");
  bool const brings = target.action == wire::Action::install || target.action == wire::Action::revert;
  if (!brings || hash == target.hashes.end()) return std::optional<Digest>();
  FLEET_TRY(auto const digest, Digest::parse(hash->second));
  auto row = reader.prepare(kProtectedRelease);
  FLEET_TRY(bool const found, row.bind(1, digest).step());
  return found ? std::optional(digest) : std::nullopt;
}

}  // namespace

Result<void> put_data_keys(db::Connection& reader, signing::KeyRing& keys, wire::Directive& directive) {
  std::optional<Bytes> recipient;
  for (auto& target : directive.targets) {
    FLEET_TRY(auto const release, protected_release(reader, target));
    if (!release) continue;
    if (!recipient) {
      auto row = reader.prepare(kWrapKey);
      FLEET_TRY(bool const found, row.bind(1, directive.device).step());
      recipient.emplace();
      if (found) recipient->assign(row.blob(0).begin(), row.blob(0).end());
    }
    if (recipient->empty()) return {};
    FLEET_TRY(auto const key, signing::data_key(keys, *release));
    FLEET_TRY(target.key, crypto::wrap(key, *recipient, directive.device, *release));
  }
  return {};
}

}  // namespace fleet::delivery
