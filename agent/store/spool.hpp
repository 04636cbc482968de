#pragma once

#include "agent/store/record_file.hpp"
#include "core/wire/device.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Reports that the server has not acknowledged, across weeks offline and restarts. Two tiers with bytes of their own: critical (changes of
/// state; each durable before the agent goes on; never dropped for bulk) and bulk (metrics, facts; oldest dropped first, and counted).
/// Thread-safe. Sequences rise over both tiers and never restart.
class Spool {
public:
  static constexpr std::uint64_t kCriticalBytes = 2 * 1024 * 1024;
  static constexpr std::uint64_t kBulkBytes = 2 * 1024 * 1024;

  static Result<std::unique_ptr<Spool>> open(Fs& fs, std::string const& dir, Clock& clock);
  /// Gives the item its sequence. Critical: durable before it returns.
  Result<void> add(wire::ReportItem item);
  /// The oldest items, at most `bytes_max` of JSON and at least one; sequences rise.
  [[nodiscard]] std::vector<wire::ReportItem> next(std::size_t bytes_max) const;
  /// Items up to `sequence` are at the server.
  Result<void> acknowledge(std::int64_t sequence);
  /// The last change of state that was told of a model, acknowledged or not, across restarts; so that it is told once.
  [[nodiscard]] std::optional<wire::UpdateItem> last_update(std::string const& model) const;
  [[nodiscard]] bool has_critical() const;
  [[nodiscard]] std::size_t size() const;

private:
  enum class Tier { critical, bulk };
  struct Entry {
    std::int64_t sequence = 0;
    std::string text;
  };
  struct Queue {
    std::string path;
    std::uint64_t limit = 0;
    std::unique_ptr<RecordFile> file;
    std::deque<Entry> entries;
    std::uint64_t bytes = 0;
  };
  Spool(Fs& fs, Clock& clock, std::string dir);
  Result<void> open_queue(Queue& queue);
  Result<void> append(Queue& queue, Entry entry, bool sync);
  Result<void> rewrite(Queue& queue);
  Result<void> reserve_sequences();
  std::int64_t evict(Queue& queue, std::uint64_t needed);

  Fs& fs_;
  Clock& clock_;
  std::string dir_;
  mutable std::mutex mutex_;
  Queue critical_, bulk_;
  std::map<std::string, Entry> last_updates_;  ///< by model; kept in the critical file, where the server knows their sequences
  std::int64_t next_sequence_ = 1;
  std::int64_t reserved_ = 0;
};

}  // namespace fleet::agent
