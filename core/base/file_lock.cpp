#include "core/base/file_lock.hpp"

#include "core/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fleet {

Result<FileLock> FileLock::acquire(std::string const& path) {
  // A pipe in its place must not keep us waiting for its other end. Made only where it is absent: in folders that everybody may write to, O_CREAT
  // refuses what is somebody else's (fs.protected_regular).
  constexpr int kHow = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  int fd = ::open(path.c_str(), kHow);
  if (fd < 0 && errno == ENOENT) {
    fd = ::open(path.c_str(), kHow | O_CREAT, 0644);
    if (fd >= 0 && ::fchmod(fd, 0644) != 0) log::warn("lock.mode", {{"path", path}, {"error", std::strerror(errno)}});  // whatever our umask says
  }
  if (fd < 0) return Error{errno == ENOENT ? Kind::not_found : Kind::io, "io", fmt::format("opening {}: {}", path, std::strerror(errno))};
  FileLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return Error{Kind::conflict, "locked", fmt::format("{} is held by another process", path)};
  return Error{Kind::io, "io", fmt::format("locking {}: {}", path, std::strerror(errno))};
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fleet
