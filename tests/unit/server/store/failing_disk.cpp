#include "tests/unit/server/store/failing_disk.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using fleet::test::FailingDisk;

namespace {

bool failed(std::atomic<int> const& number) {
  if (number == 0) return false;
  errno = number;
  return true;
}

}  // namespace

// The program's own come before the C library's for the shared libraries it loads.
extern "C" {

int fsync(int fd) {
  ++FailingDisk::syncs;
  return failed(FailingDisk::sync_errno) ? -1 : static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  ++FailingDisk::syncs;
  return failed(FailingDisk::sync_errno) ? -1 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}
ssize_t pwrite64(int fd, void const* bytes, size_t count, off64_t offset) {
  return failed(FailingDisk::write_errno) ? -1 : static_cast<ssize_t>(::syscall(SYS_pwrite64, fd, bytes, count, offset));
}
ssize_t pwrite(int fd, void const* bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

}  // extern "C"
