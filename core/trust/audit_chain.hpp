#pragma once

#include "core/base/time.hpp"
#include "core/trust/key_set.hpp"

#include <optional>
#include <string>
#include <string_view>

/// The audit log as anybody may prove it: a hash chain, and signed checkpoints of its head. Pure: entries and checkpoints in, a verdict out.
namespace fleet::trust {

/// One entry. `before` and `after` are the compact JSON texts that the hash covers, or empty.
struct AuditEntry {
  std::int64_t seq = 0;  ///< from 1, without gaps
  std::int64_t time_ms = 0;
  std::string actor, action, subject, before, after, reason, request_id;
  Digest prev;  ///< hash of the entry before; zeroes for the first
  Digest hash;
};

/// SHA-256(prev, then `seq:time_ms:`, then each text with its length before it, `5:actor`, so that no two entries share a text).
[[nodiscard]] Digest audit_hash(AuditEntry const& entry);

/// An entry as `GET /audit` and `audit export` show it: `before` and `after` as JSON values. @errors bad_input
[[nodiscard]] Result<AuditEntry> decode_audit_entry(std::string_view json);
/// The inverse.
[[nodiscard]] std::string encode(AuditEntry const& entry);

/// "At `time`, the log had `seq` entries, and the last had `hash`." Signed, it outlives a server that forgets.
struct Checkpoint {
  std::int64_t seq = 0;
  Digest hash;
  SysTime time{};
};
inline constexpr std::string_view kCheckpointType = "application/vnd.fleet.audit-checkpoint+json";
[[nodiscard]] std::string sign_checkpoint(Checkpoint const& checkpoint, crypto::SigningKey const& key);
/// @param envelope  untrusted DSSE. @errors signature, bad_input, too_large
[[nodiscard]] Result<Checkpoint> open_checkpoint(std::string_view envelope, crypto::PublicKey const& key);

/// `{"keytype","scheme","keyval":{"public"}}`, as TUF metadata writes keys. @errors bad_input
[[nodiscard]] Result<crypto::PublicKey> decode_public_key(std::string_view json);
[[nodiscard]] std::string encode(crypto::PublicKey const& key);

/// Walks the log in its order.
class AuditChain {
public:
  /// @errors corrupt: `audit_gap` (an entry is missing, or came twice), `audit_changed` (its hash or the one before does not fit), each with
  /// the entry's number, what was expected and what was found
  [[nodiscard]] Result<void> add(AuditEntry const& entry);
  /// Of the entry that was added last. @errors corrupt: `audit_rewritten` (another hash was signed), `audit_order` (of another entry)
  [[nodiscard]] Result<void> add(Checkpoint const& checkpoint) const;
  [[nodiscard]] std::int64_t size() const { return seq_; }
  [[nodiscard]] Digest const& head() const { return head_; }

private:
  std::int64_t seq_ = 0;
  Digest head_;
};

}  // namespace fleet::trust
