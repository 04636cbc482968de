#include "core/base/dir_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fleet {

Result<DirLock> DirLock::acquire(std::string const& dir) {
  auto const path = dir + "/lock";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 && errno == EROFS) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);  // locked all the same
  if (fd < 0) return Error{Kind::io, "io", fmt::format("opening {}: {}", path, std::strerror(errno))};
  DirLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return Error{Kind::conflict, "locked", fmt::format("{} is in use by another process", dir), "end that process first, or use another folder"};
  return Error{Kind::io, "io", fmt::format("locking {}: {}", path, std::strerror(errno))};
}

DirLock::~DirLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fleet
