#pragma once

#include "core/trust/audit_chain.hpp"

#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace fleet::cli {

/// An exported audit log, verified line by line: `{"key"}` first, then entries, each checkpoint behind the entry it is of. The last line is
/// the checkpoint of the last entry, so that an export that lost its end shows.
class AuditLog {
public:
  /// The key that every checkpoint must be signed with; without it, the one that the log begins with.
  void pin(crypto::PublicKey key);
  [[nodiscard]] bool pinned() const { return pinned_; }
  /// A line of an older export: if it is a checkpoint, the log must still say the same. @errors bad_input (it is no JSON object)
  [[nodiscard]] Result<void> expect(std::string_view line);
  /// Whether a checkpoint was among those lines: without one there is nothing to compare the log with.
  [[nodiscard]] bool expects_any() const { return !kept_outside_.empty(); }
  /// @errors bad_input, signature, corrupt: with the entry, what was expected and what was found
  [[nodiscard]] Result<void> add(std::string_view line);

  struct Proved {
    std::int64_t entries = 0, checkpoints = 0;
    Digest head;
  };
  /// @errors corrupt (code `audit_truncated`)
  [[nodiscard]] Result<Proved> finish() const;

private:
  [[nodiscard]] Result<void> take_key(std::string_view key);
  [[nodiscard]] Result<trust::Checkpoint> open(std::string_view envelope) const;

  std::optional<crypto::PublicKey> key_;
  bool pinned_ = false;
  std::vector<std::string> kept_outside_;               ///< envelopes, opened once the key is known
  std::map<std::int64_t, trust::Checkpoint> expected_;  ///< by entry
  trust::AuditChain chain_;
  std::int64_t signed_ = 0, checkpoints_ = 0;
};

}  // namespace fleet::cli
