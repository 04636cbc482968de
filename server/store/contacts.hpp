#pragma once

#include "core/base/time.hpp"
#include "server/store/sqlite/db.hpp"

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
  struct Contact {
    SysTime at{};
    int poll_every_s = 0;
    int report_every_s = 0;
  };
  void note(std::int64_t device_n, Contact contact);
  /// Latest contact that the database may not have yet.
  [[nodiscard]] std::optional<SysTime> find(std::int64_t device_n) const;
  /// Writes everything noted since the last flush; noted contacts stay visible to `find` until their commit.
  Result<void> flush(db::Connection& connection);
  /// After the commit of a flush.
  void flushed();
  [[nodiscard]] bool empty() const;

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, Contact> noted_;
  std::map<std::int64_t, Contact> flushing_;  ///< sorted: the table is clustered by device
};

}  // namespace fleet::store
