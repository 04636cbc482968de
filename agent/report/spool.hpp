#pragma once

#include "agent/report/spool_tier.hpp"
#include "core/base/time.hpp"

#include <map>
#include <mutex>
#include <optional>

namespace fleet::agent {

/// Reports that the server has not acknowledged, across months offline and restarts, by tiers with numbers and bytes of their own (docs/protocol.md,
/// reports). Critical: changes of state; each durable before the agent goes on; results are never dropped. Diagnostic: facts, notes, what was dropped;
/// durable too. Bulk: metrics; a server in reach takes them from memory, and else they go to the disk now and then. Over its bytes a tier loses its
/// oldest segment, and one coalesced item tells how much was dropped. It always opens. Thread-safe.
class Spool {
public:
  static constexpr std::uint64_t kCriticalBytes = 2 * 1024 * 1024;
  static constexpr std::uint64_t kDiagnosticBytes = 512 * 1024;
  static constexpr std::uint64_t kBulkBytes = 2 * 1024 * 1024;

  static std::unique_ptr<Spool> open(Fs& fs, std::string const& dir, Clock& clock);
  /// Calls `wake` after each item that should not wait for the next interval; from the thread that adds it. Null: nobody.
  void on_urgent(std::function<void()> wake);
  /// Gives the item its tier and number. Critical and diagnostic: durable before it returns.
  /// @errors of the disk: the item is kept in memory, is sent, and goes to the disk with the next one
  Result<void> add(wire::ReportItem item);
  /// What to send: of each tier the oldest items that the server has not received, critical ones first; at most `bytes_max` of JSON (one item always).
  [[nodiscard]] wire::Report next(std::size_t bytes_max);
  /// What is not acknowledged of changes of state and of notes, above these numbers, the oldest first, at most `bytes_max` of JSON: for who carries it by
  /// file. It goes on waiting to be sent.
  [[nodiscard]] wire::Report unacked(wire::ByTier<std::int64_t> const& after, std::size_t bytes_max);
  /// The server's word: what it keeps for good goes; what it only received is not sent again before `resend`. From one that has less than it once
  /// acknowledged (it was restored) it hears the last change of each model again. @errors bad_input (`acked_leap`), of the disk
  Result<void> settle(wire::ReportAnswer const& answer);
  /// The server will never take these: they would hold back everything after.
  void forget(wire::Report const& refused);
  /// What was received and not acknowledged is sent again.
  void resend();
  /// Of that, there is some.
  [[nodiscard]] bool is_unsettled() const;
  /// Something waits to be sent; something that should be sent at once.
  [[nodiscard]] bool has_items() const;
  [[nodiscard]] bool has_urgent() const;
  /// A change of state waits: what verdicts are made of.
  [[nodiscard]] bool has_results() const;
  /// On the disk and in memory.
  [[nodiscard]] std::uint64_t bytes() const;
  /// What is in memory alone goes to the disk: at an ordinary end.
  void spill();
  /// The last change of state that was told of a model, acknowledged or not, across restarts; so that it is told once.
  [[nodiscard]] std::optional<wire::UpdateItem> last_update(std::string const& model) const;

private:
  struct Counters {
    std::int64_t next = 1;      ///< the number of the next item
    std::int64_t reserved = 0;  ///< none above it was used before a restart
    std::int64_t acked = 0;
    std::int64_t received = 0;
    std::int64_t dropped = 0;  ///< items that nobody told the server of yet
  };
  Spool(Fs& fs, std::string const& dir, Clock& clock);
  void load_counters();
  void load_last_updates();
  Result<void> save_counters();
  Result<void> keep_last_updates();
  Result<void> settle(wire::Tier tier, std::int64_t acked, std::int64_t received);
  Result<void> put(wire::Tier tier, wire::ReportItem item);
  void tell_dropped();
  [[nodiscard]] bool waits(wire::Tier tier) const;

  Fs& fs_;
  Clock& clock_;
  std::string dir_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  wire::ByTier<std::unique_ptr<SpoolTier>> tiers_;
  wire::ByTier<Counters> counters_;
  std::int64_t told_dropped_ = 0;  ///< number of the newest item that tells of drops
  std::map<std::string, wire::ReportItem> last_updates_;  ///< by model
  bool last_updates_kept_ = true;
};

}  // namespace fleet::agent
