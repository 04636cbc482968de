// Preloaded into a server: fsync(2) and fdatasync(2) fail with EIO while the file named by $FAILING_FSYNC exists, as on a dying disk.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace {

int sync_by(long call, int fd) {
  char const* const trigger = std::getenv("FAILING_FSYNC");
  if (trigger == nullptr || ::access(trigger, F_OK) != 0) return static_cast<int>(::syscall(call, fd));
  errno = EIO;
  return -1;
}

}  // namespace

extern "C" {
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }
}
