#pragma once

#include "core/base/result.hpp"

#include <string>

namespace fleet {

/// Holds a folder for one process: an flock(2) on `DIR/lock`, freed by the kernel when the process ends however it ends.
class DirLock {
public:
  /// @errors conflict (code `locked`: another process holds it), io
  [[nodiscard]] static Result<DirLock> acquire(std::string const& dir);
  DirLock(DirLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirLock& operator=(DirLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~DirLock();

private:
  explicit DirLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace fleet
