#pragma once

#include "core/trust/metadata.hpp"

#include <map>
#include <optional>
#include <string>

namespace fleet::trust {

/// What a client trusts at one moment. Takes bytes, gives verdicts; does no I/O. The order of calls is the specification's
/// (TUF 1.0.34, 5.3 to 5.6); a call out of order is a bug.
class TrustedSet {
public:
  /// @param root  the client's own root; its signatures are verified, its expiry is not
  /// @param fresh_at  when timestamp and snapshot had to be unexpired; nothing: at `start`, as everything
  static Result<TrustedSet> create(BytesView root, SysTime start, Limits const& limits, std::optional<SysTime> fresh_at = {});

  /// 5.3.4 to 5.3.7: signed by the old and the new keys, version exactly one more.
  /// True: timestamp's or snapshot's keys changed, and what was trusted of both is forgotten (5.3.11, recovery from a fast-forward attack).
  /// @errors signature (threshold_unmet), conflict (code `rollback`), bad_input
  Result<bool> update_root(BytesView raw);
  /// 5.3.10. @errors expired
  Result<void> check_root_expiry() const;
  /// 5.4.2 to 5.4.3; an equal version is accepted and changes nothing. False: nothing new.
  Result<bool> update_timestamp(BytesView raw);
  /// 5.4.4. @errors expired
  Result<void> check_timestamp_expiry() const;
  /// 5.5.2 to 5.5.5. @param local  kept bytes: judged by signature and rollback, but not refused for a version that the timestamp has moved past
  Result<void> update_snapshot(BytesView raw, bool local);
  /// 5.5.6 and the version the timestamp names. @errors expired, conflict
  Result<void> check_snapshot() const;
  /// 5.6, for `targets` (delegator nullptr: root) or a delegated role, judged by its delegator as trusted now.
  /// @errors signature, bad_input, conflict, expired, not_found (the snapshot does not list it)
  [[nodiscard]] Result<Targets> judge_targets(BytesView raw, std::string const& role, Targets const* delegator) const;

  [[nodiscard]] Root const& root() const { return root_; }
  [[nodiscard]] std::optional<Timestamp> const& timestamp() const { return timestamp_; }
  [[nodiscard]] std::optional<Snapshot> const& snapshot() const { return snapshot_; }
  /// The snapshot's entry of a role. @errors not_found
  [[nodiscard]] Result<FileMeta> meta_of(std::string const& role) const;

private:
  TrustedSet(Root root, SysTime start, SysTime fresh_at, Limits const& limits) : root_(std::move(root)), start_(start), fresh_at_(fresh_at), limits_(limits) {}
  Root root_;
  SysTime start_, fresh_at_;
  Limits limits_;
  std::optional<Timestamp> timestamp_;
  std::optional<Snapshot> snapshot_;
};

/// Every known hash and the length, where given. @errors signature (codes length_mismatch, digest_mismatch)
[[nodiscard]] Result<void> verify_bytes(std::string_view what, BytesView bytes, std::optional<std::uint64_t> length,
                                        std::map<std::string, std::string> const& hashes);

}  // namespace fleet::trust
