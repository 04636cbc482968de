#pragma once

#include "core/base/time.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace fleet::store {

/// When each device was last heard, gathered in memory and written every few seconds in one sorted batch: `last seen` alone may be
/// lost with a crash, so no poll waits for the disk. Thread-safe.
class Contacts {
public:
  void note(std::int64_t device_n, Contact contact);
  /// Latest contact that the database may not have yet.
  [[nodiscard]] std::optional<SysTime> find(std::int64_t device_n) const;
  /// Everything noted by now shall be written, piece by piece; it stays visible to `find` until its commit. The writer's thread, as all below.
  void begin_flush();
  [[nodiscard]] bool is_flushing() const { return !flushing_.empty(); }
  /// Writes so many at most of those that shall be.
  Result<void> flush(db::Connection& connection, std::string_view node, std::size_t max);
  /// After the commit of that piece.
  void flushed();
  /// After a piece that failed: what was not written waits for the next flush.
  void put_off();

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, Contact> noted_;
  std::map<std::int64_t, Contact> flushing_;  ///< sorted: the table is clustered by device; only the writer's thread changes it
  std::size_t written_ = 0;                   ///< of flushing_, from its start, not committed yet
};

}  // namespace fleet::store
