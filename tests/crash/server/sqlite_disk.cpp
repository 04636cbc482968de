#include "tests/crash/server/sqlite_disk.hpp"

#include "tests/crash/disk.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <stdexcept>
#include <string>

namespace fleet::crash {
namespace {

Kernel* below = nullptr;

/// As the C library answers.
template <class T>
T told(T answer) {
  if (answer >= 0) return answer;
  errno = static_cast<int>(-answer);
  return -1;
}

int open_file(char const* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  auto const mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0U;
  va_end(rest);
  return told(below->open(AT_FDCWD, path, flags, mode));
}
int close_file(int fd) {
  below->close(fd);
  return 0;
}
int stat_file(char const* path, struct stat* out) { return told(below->stat_at(AT_FDCWD, path, *out, 0)); }
int stat_link(char const* path, struct stat* out) { return told(below->stat_at(AT_FDCWD, path, *out, AT_SYMLINK_NOFOLLOW)); }
int stat_open(int fd, struct stat* out) { return told(below->stat(fd, *out)); }
int access_file(char const* path, int) {
  struct stat found {};
  return stat_file(path, &found);
}
int truncate_file(int fd, off_t size) { return told(below->truncate(fd, static_cast<std::uint64_t>(size))); }
ssize_t read_file(int fd, void* out, std::size_t size) { return told(below->read(fd, out, size)); }
ssize_t read_at(int fd, void* out, std::size_t size, off64_t offset) { return told(below->pread(fd, out, size, static_cast<std::uint64_t>(offset))); }
ssize_t write_at(int fd, void const* bytes, std::size_t size, off64_t offset) { return told(below->pwrite(fd, bytes, size, static_cast<std::uint64_t>(offset))); }
int remove_file(char const* path) { return told(below->unlink(AT_FDCWD, path, 0)); }
int open_folder(char const* path, int* fd) {
  std::string const name(path);
  *fd = below->open(AT_FDCWD, name.substr(0, name.find_last_of('/')).c_str(), O_RDONLY | O_DIRECTORY, 0);
  return *fd >= 0 ? SQLITE_OK : SQLITE_CANTOPEN;
}
int control(int, int command, ...) {
  if (command != F_GETLK) return 0;
  va_list rest;
  va_start(rest, command);
  va_arg(rest, struct flock*)->l_type = F_UNLCK;
  va_end(rest);
  return 0;
}
void* map(void*, std::size_t size, int, int, int, off64_t) { return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
ssize_t read_link(char const* path, char* out, std::size_t size) { return told(below->readlink(path, out, size)); }
int change_owner(int fd, uid_t user, gid_t group) { return told(below->chown(fd, user, group)); }
int change_mode(int fd, mode_t mode) { return told(below->chmod(fd, mode)); }

template <class F>
sqlite3_syscall_ptr as_call(F* function) {
  return reinterpret_cast<sqlite3_syscall_ptr>(function);
}

}  // namespace

void set_sqlite_disk(Kernel& kernel) {
  below = &kernel;
  auto* const unix_files = sqlite3_vfs_find("unix");
  std::pair<char const*, sqlite3_syscall_ptr> const calls[] = {
      {"open", as_call(open_file)},       {"close", as_call(close_file)},       {"access", as_call(access_file)},  {"stat", as_call(stat_file)},
      {"lstat", as_call(stat_link)},      {"fstat", as_call(stat_open)},        {"ftruncate", as_call(truncate_file)}, {"fcntl", as_call(control)},
      {"read", as_call(read_file)},       {"pread64", as_call(read_at)},        {"pwrite64", as_call(write_at)},   {"unlink", as_call(remove_file)},
      {"openDirectory", as_call(open_folder)}, {"mmap", as_call(map)},          {"readlink", as_call(read_link)},  {"fchown", as_call(change_owner)},
      {"fchmod", as_call(change_mode)},
  };
  for (auto const& [name, call] : calls)
    if (unix_files->xGetSystemCall(unix_files, name) == nullptr || unix_files->xSetSystemCall(unix_files, name, call) != SQLITE_OK)
      throw std::runtime_error(std::string("this SQLite makes no system call ") + name);
}

}  // namespace fleet::crash

// What SQLite lets nobody set. The program's own come before the C library's for the shared libraries that it loads.
extern "C" {
int fdatasync(int fd) { return fd < fleet::crash::Disk::kFirstDescriptor ? static_cast<int>(::syscall(SYS_fdatasync, fd)) : fleet::crash::told(fleet::crash::below->datasync(fd)); }
int fsync(int fd) { return fd < fleet::crash::Disk::kFirstDescriptor ? static_cast<int>(::syscall(SYS_fsync, fd)) : fleet::crash::told(fleet::crash::below->sync(fd)); }
}
