#pragma once

#include <atomic>

/// Calls of this program to the disk, which SQLite makes through the C library: a test makes them fail.
namespace fleet::test {

struct FailingDisk {
  inline static std::atomic<int> sync_errno{0};   ///< what fsync(2) and fdatasync(2) fail with; 0: they work
  inline static std::atomic<int> write_errno{0};  ///< what pwrite(2) fails with
  inline static std::atomic<int> syncs{0};        ///< counted
};

}  // namespace fleet::test
