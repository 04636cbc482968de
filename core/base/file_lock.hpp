#pragma once

#include "core/base/result.hpp"

#include <string>

namespace fleet {

/// Holds a file against other processes, and against other openings in this one, by flock(2); freed when it goes, or with the process.
class FileLock {
public:
  /// Without waiting. The file is made where it is absent (0644: who may read it may lock it). No link is followed to it.
  /// @errors conflict (code `locked`: somebody else holds it, shared or not), not_found (no folder for it), io
  [[nodiscard]] static Result<FileLock> acquire(std::string const& path);
  FileLock() = default;  ///< of nothing
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileLock();

private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace fleet
