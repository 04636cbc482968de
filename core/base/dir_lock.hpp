#pragma once

#include "core/base/fs.hpp"

#include <memory>
#include <string>

namespace fleet {

/// Holds a folder for one process: an flock(2) on `DIR/lock`, freed by the kernel when the process ends however it ends.
class DirLock {
public:
  /// @errors conflict (code `locked`: another process holds it), io
  [[nodiscard]] static Result<DirLock> acquire(Fs& fs, std::string const& dir);

private:
  explicit DirLock(std::unique_ptr<Lock> lock) : lock_(std::move(lock)) {}
  std::unique_ptr<Lock> lock_;
};

}  // namespace fleet
