#pragma once

#include "core/base/result.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet {

/// The system calls that files are made of: all that `Fs` does to a disk goes through here, one call at a time, so that a test can put a model of a
/// disk in its place and stop or fail it at each. Each answers as the kernel does: a negative number is -errno. `at`: an open folder, or AT_FDCWD.
class Kernel {
public:
  virtual ~Kernel() = default;
  virtual int open(int at, char const* path, int flags, unsigned mode) = 0;
  virtual void close(int fd) = 0;
  virtual ssize_t read(int fd, void* out, std::size_t size) = 0;
  virtual ssize_t pread(int fd, void* out, std::size_t size, std::uint64_t offset) = 0;
  virtual ssize_t pwrite(int fd, void const* bytes, std::size_t size, std::uint64_t offset) = 0;
  virtual int truncate(int fd, std::uint64_t size) = 0;
  virtual int datasync(int fd) = 0;
  virtual int sync(int fd) = 0;
  /// posix_fadvise(2), POSIX_FADV_DONTNEED: what is in memory and on the disk is in memory no more.
  virtual void drop_cached(int fd) = 0;
  /// Room behind the end, which stays where it is.
  virtual int allocate(int fd, std::uint64_t offset, std::uint64_t size) = 0;
  virtual int stat(int fd, struct stat& out) = 0;
  /// @param flags  AT_SYMLINK_NOFOLLOW
  virtual int stat_at(int at, char const* path, struct stat& out, int flags) = 0;
  /// Also of a folder that was opened as a place only (O_PATH).
  virtual int chmod(int fd, unsigned mode) = 0;
  virtual int chown(int fd, std::uint32_t user, std::uint32_t group) = 0;
  virtual int mkdir(char const* path, unsigned mode) = 0;
  virtual int rename(int from_at, char const* from, int to_at, char const* to) = 0;
  /// @param flags  AT_REMOVEDIR
  virtual int unlink(int at, char const* path, int flags) = 0;
  virtual int symlink(char const* target, int at, char const* path) = 0;
  virtual ssize_t readlink(char const* path, char* out, std::size_t size) = 0;
  /// The next names of an open folder, in no order, `.` and `..` among them; none: that were all. @returns how many, or -errno
  virtual int next_names(int fd, std::vector<std::string>& out) = 0;
  virtual int free_bytes(char const* path, std::uint64_t& out) = 0;
  /// flock(2)
  virtual int lock(int fd, int operation) = 0;
};

/// The machine's own.
[[nodiscard]] Kernel& system_kernel();

/// A descriptor of a kernel, closed on destruction; none: what opening it answered.
class Handle {
public:
  Handle() = default;
  Handle(Kernel& kernel, int answer) : kernel_(&kernel), fd_(answer) {}
  Handle(Handle&& other) noexcept : kernel_(other.kernel_), fd_(std::exchange(other.fd_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(kernel_, other.kernel_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Handle() {
    if (fd_ >= 0) kernel_->close(fd_);
  }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }
  /// errno of the call that opened nothing.
  [[nodiscard]] int error() const { return -fd_; }

private:
  Kernel* kernel_ = nullptr;
  int fd_ = -1;
};

/// `call` once more for as long as a signal interrupts it.
template <class Call>
auto uninterrupted(Call const& call) {
  constexpr int kInterrupted = 4;  // EINTR
  auto answer = call();
  while (answer == -kInterrupted) answer = call();
  return answer;
}

/// From where `file` stands to its end. @errors io, too_large (over `limit` bytes)
[[nodiscard]] Result<std::string> read_all(Kernel& kernel, Handle const& file, std::string const& path, std::uint64_t limit);

}  // namespace fleet
