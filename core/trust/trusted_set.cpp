#include "core/trust/trusted_set.hpp"

#include "core/crypto/hash.hpp"

#include <fmt/format.h>

namespace fleet::trust {
namespace {

Error rolled_back(std::string_view role, std::int64_t got, std::string_view expected) {
  return {Kind::conflict, "rollback", fmt::format("{}: version {}, expected {}", role, got, expected)};
}

using Hash = std::string (*)(BytesView);

std::string sha256_hex(BytesView bytes) { return crypto::sha256(bytes).hex(); }

Hash find_hash(std::string_view algorithm) {
  if (algorithm == "sha256") return sha256_hex;
  return algorithm == "sha512" ? crypto::sha512_hex : nullptr;
}

bool same_keys(Root const& a, Root const& b, std::string const& role) {
  return a.roles.at(role).keys == b.roles.at(role).keys && a.roles.at(role).threshold == b.roles.at(role).threshold;
}

Result<void> check_expiry(std::string_view role, Common const& file, SysTime start) {
  if (start < file.expires) return {};
  return Error{Kind::expired, "metadata_expired",
               fmt::format("{} version {} expired {}, it is {}", role, file.version, to_rfc3339(file.expires), to_rfc3339(start)),
               "sign it again, or correct the clock"};
}

}  // namespace

Result<void> verify_bytes(std::string_view what, BytesView bytes, std::optional<std::uint64_t> length, std::map<std::string, std::string> const& hashes) {
  if (length && *length != bytes.size())
    return Error{Kind::signature, "length_mismatch", fmt::format("{}: expected {} bytes, got {}", what, *length, bytes.size())};
  if (hashes.empty()) return {};
  bool known = false;
  for (auto const& [algorithm, expected] : hashes) {
    Hash const hash = find_hash(algorithm);
    if (hash == nullptr) continue;
    known = true;
    if (auto const found = hash(bytes); found != expected)
      return Error{Kind::signature, "digest_mismatch", fmt::format("{}: expected {} {}, got {}", what, algorithm, expected, found)};
  }
  if (!known) return Error{Kind::signature, "digest_mismatch", fmt::format("{}: no hash of a kind known here", what)};
  return {};
}

Result<TrustedSet> TrustedSet::create(BytesView raw, SysTime start, Limits const& limits, std::optional<SysTime> fresh_at) {
  FLEET_TRY(auto const file, read_signed(raw, limits.root_bytes));
  FLEET_TRY(auto root, decode_root(file));
  FLEET_CHECK(verify_threshold(file, root.roles.at("root"), "root"));  // CVE-2020-15163: the kept root, too
  return TrustedSet(std::move(root), start, fresh_at.value_or(start), limits);
}

Result<bool> TrustedSet::update_root(BytesView raw) {
  FLEET_TRY(auto const file, read_signed(raw, limits_.root_bytes));
  FLEET_CHECK(verify_threshold(file, root_.roles.at("root"), "root"));
  FLEET_TRY(auto next, decode_root(file));
  if (next.version != root_.version + 1) return rolled_back("root", next.version, std::to_string(root_.version + 1));  // CVE-2025-2885
  FLEET_CHECK(verify_threshold(file, next.roles.at("root"), "root"));
  if (next.repository != root_.repository)
    return Error{Kind::signature, "other_repository",
                 fmt::format("root {} is of repository '{}', expected '{}'", next.version, next.repository.substr(0, 40), root_.repository)};
  bool const rotated = !same_keys(root_, next, "timestamp") || !same_keys(root_, next, "snapshot");
  root_ = std::move(next);
  if (rotated) {
    timestamp_.reset();
    snapshot_.reset();
  }
  return rotated;
}

Result<void> TrustedSet::check_root_expiry() const { return check_expiry("root", root_, start_); }

Result<bool> TrustedSet::update_timestamp(BytesView raw) {
  FLEET_TRY(auto const file, read_signed(raw, limits_.timestamp_bytes));
  FLEET_CHECK(verify_threshold(file, root_.roles.at("timestamp"), "timestamp"));
  FLEET_TRY(auto next, decode_timestamp(file));
  if (timestamp_) {
    if (next.version < timestamp_->version) return rolled_back("timestamp", next.version, fmt::format("at least {}", timestamp_->version));
    if (next.version == timestamp_->version) return false;  // 5.4.3: stop silently
    if (next.snapshot.version < timestamp_->snapshot.version)
      return rolled_back("snapshot in timestamp", next.snapshot.version, fmt::format("at least {}", timestamp_->snapshot.version));
  }
  timestamp_ = std::move(next);
  return true;
}

Result<void> TrustedSet::check_timestamp_expiry() const { return check_expiry("timestamp", *timestamp_, fresh_at_); }

Result<void> TrustedSet::update_snapshot(BytesView raw, bool local) {
  auto const& expected = timestamp_->snapshot;
  if (!local) FLEET_CHECK(verify_bytes("snapshot", raw, expected.length, expected.hashes));
  FLEET_TRY(auto const file, read_signed(raw, limits_.snapshot_bytes));
  FLEET_CHECK(verify_threshold(file, root_.roles.at("snapshot"), "snapshot"));
  FLEET_TRY(auto next, decode_snapshot(file));
  if (snapshot_)
    for (auto const& [name, meta] : snapshot_->meta) {  // 5.5.5: no role disappears or goes down
      auto const found = next.meta.find(name);
      if (found == next.meta.end()) return rolled_back(name, 0, fmt::format("at least {} (it disappeared)", meta.version));
      if (found->second.version < meta.version) return rolled_back(name, found->second.version, fmt::format("at least {}", meta.version));
    }
  snapshot_ = std::move(next);
  return {};
}

Result<void> TrustedSet::check_snapshot() const {
  if (snapshot_->version != timestamp_->snapshot.version) return rolled_back("snapshot", snapshot_->version, std::to_string(timestamp_->snapshot.version));
  return check_expiry("snapshot", *snapshot_, fresh_at_);
}

Result<FileMeta> TrustedSet::meta_of(std::string const& role) const {
  auto const found = snapshot_->meta.find(role + ".json");
  if (found == snapshot_->meta.end()) return Error{Kind::not_found, "unknown_role", fmt::format("the snapshot does not list {}", role)};
  return found->second;
}

Result<Targets> TrustedSet::judge_targets(BytesView raw, std::string const& role, Targets const* delegator) const {
  FLEET_TRY(auto const meta, meta_of(role));
  FLEET_CHECK(verify_bytes(role, raw, meta.length, meta.hashes));
  KeySet const* const keys = delegator == nullptr ? &root_.roles.at("targets") : delegator->keys_of(role);
  if (keys == nullptr) return Error{Kind::signature, "not_delegated", fmt::format("its delegator does not know role {}", role)};
  FLEET_TRY(auto const file, read_signed(raw, limits_.targets_bytes));
  FLEET_CHECK(verify_threshold(file, *keys, role));
  FLEET_TRY(auto next, decode_targets(file));
  if (next.version != meta.version) return rolled_back(role, next.version, std::to_string(meta.version));
  FLEET_CHECK(check_expiry(role, next, start_));
  return next;
}

}  // namespace fleet::trust
