#include "core/base/kernel.hpp"

#include "core/base/descriptor.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace fleet {
namespace {

/// What the C library says, as the kernel said it.
template <class T>
T answer(T said) {
  return said < 0 ? static_cast<T>(-errno) : said;
}

class SystemKernel final : public Kernel {
public:
  int open(int at, char const* path, int flags, unsigned mode) override { return answer(::openat(at, path, flags, mode)); }
  void close(int fd) override { ::close(fd); }
  ssize_t read(int fd, void* out, std::size_t size) override { return answer(::read(fd, out, size)); }
  ssize_t pread(int fd, void* out, std::size_t size, std::uint64_t offset) override { return answer(::pread(fd, out, size, static_cast<off_t>(offset))); }
  ssize_t pwrite(int fd, void const* bytes, std::size_t size, std::uint64_t offset) override {
    return answer(::pwrite(fd, bytes, size, static_cast<off_t>(offset)));
  }
  int truncate(int fd, std::uint64_t size) override { return answer(::ftruncate(fd, static_cast<off_t>(size))); }
  int datasync(int fd) override { return answer(::fdatasync(fd)); }
  int sync(int fd) override { return answer(::fsync(fd)); }
  void drop_cached(int fd) override { ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); }
  int allocate(int fd, std::uint64_t offset, std::uint64_t size) override {
    return answer(::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size)));
  }
  int stat(int fd, struct stat& out) override { return answer(::fstat(fd, &out)); }
  int stat_at(int at, char const* path, struct stat& out, int flags) override { return answer(::fstatat(at, path, &out, flags)); }
  int chmod(int fd, unsigned mode) override {
    auto const said = answer(::fchmod(fd, mode));
    // chmod(2) of a descriptor that is a place only goes by its name in /proc, which nobody can bend.
    return said == -EBADF ? answer(::chmod(fmt::format("/proc/self/fd/{}", fd).c_str(), mode)) : said;
  }
  int chown(int fd, std::uint32_t user, std::uint32_t group) override { return answer(::fchown(fd, user, group)); }
  int mkdir(char const* path, unsigned mode) override { return answer(::mkdir(path, mode)); }
  int rename(int from_at, char const* from, int to_at, char const* to) override { return answer(::renameat(from_at, from, to_at, to)); }
  int unlink(int at, char const* path, int flags) override { return answer(::unlinkat(at, path, flags)); }
  int symlink(char const* target, int at, char const* path) override { return answer(::symlinkat(target, at, path)); }
  ssize_t readlink(char const* path, char* out, std::size_t size) override { return answer(::readlink(path, out, size)); }
  int next_names(int fd, std::vector<std::string>& out) override {
    alignas(dirent64) std::array<char, 32 * 1024> piece{};
    auto const got = answer(::syscall(SYS_getdents64, fd, piece.data(), piece.size()));
    if (got < 0) return static_cast<int>(got);
    int count = 0;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got); ++count) {
      auto const* const entry = reinterpret_cast<dirent64 const*>(piece.data() + at);
      out.emplace_back(entry->d_name);
      at += entry->d_reclen;
    }
    return count;
  }
  int free_bytes(char const* path, std::uint64_t& out) override {
    struct statvfs found {};
    auto const said = answer(::statvfs(path, &found));
    out = static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
    return said;
  }
  int lock(int fd, int operation) override { return answer(::flock(fd, operation)); }
};

}  // namespace

Kernel& system_kernel() {
  static SystemKernel kernel;
  return kernel;
}

Result<std::string> read_all(Kernel& kernel, Handle const& file, std::string const& path, std::uint64_t limit) {
  std::string out;
  std::array<char, 65536> piece{};
  for (;;) {
    auto const n = uninterrupted([&] { return kernel.read(file.get(), piece.data(), piece.size()); });
    if (n == 0) return out;
    if (n < 0) return system_error("read", path, static_cast<int>(-n));
    if (out.size() + static_cast<std::size_t>(n) > limit)
      return Error{Kind::too_large, "file_too_large", fmt::format("{} is longer than {} bytes", path, limit)};
    out.append(piece.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace fleet
