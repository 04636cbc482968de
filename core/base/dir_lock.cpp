#include "core/base/dir_lock.hpp"

#include <fmt/format.h>

namespace fleet {

Result<DirLock> DirLock::acquire(Fs& fs, std::string const& dir) {
  auto lock = fs.lock(dir + "/lock", 0600);
  if (lock) return DirLock(*std::move(lock));
  if (lock.error().code == "locked")
    return Error{Kind::conflict, "locked", fmt::format("{} is in use by another process", dir), "end that process first, or use another folder"};
  return lock.error();
}

}  // namespace fleet
