#pragma once

#include "tests/crash/disk.hpp"

#include <mutex>

namespace fleet::crash {

/// A disk for several threads: one call at a time.
class SharedDisk final : public Kernel {
public:
  explicit SharedDisk(Disk& disk) : disk_(disk) {}
  /// Runs `call` between two calls.
  template <class Call>
  auto between(Call const& call) {
    std::lock_guard const lock(mutex_);
    return call();
  }
  /// Calls so far that changed something.
  [[nodiscard]] std::uint64_t changes() {
    return between([&] { return disk_.changes(); });
  }

  int open(int at, char const* path, int flags, unsigned mode) override {
    return between([&] { return disk_.open(at, path, flags, mode); });
  }
  void close(int fd) override {
    between([&] { disk_.close(fd); });
  }
  ssize_t read(int fd, void* out, std::size_t size) override {
    return between([&] { return disk_.read(fd, out, size); });
  }
  ssize_t pread(int fd, void* out, std::size_t size, std::uint64_t offset) override {
    return between([&] { return disk_.pread(fd, out, size, offset); });
  }
  ssize_t pwrite(int fd, void const* bytes, std::size_t size, std::uint64_t offset) override {
    return between([&] { return disk_.pwrite(fd, bytes, size, offset); });
  }
  int truncate(int fd, std::uint64_t size) override {
    return between([&] { return disk_.truncate(fd, size); });
  }
  int datasync(int fd) override {
    return between([&] { return disk_.datasync(fd); });
  }
  int sync(int fd) override {
    return between([&] { return disk_.sync(fd); });
  }
  void drop_cached(int fd) override {
    between([&] { disk_.drop_cached(fd); });
  }
  int allocate(int fd, std::uint64_t offset, std::uint64_t size) override {
    return between([&] { return disk_.allocate(fd, offset, size); });
  }
  int stat(int fd, struct stat& out) override {
    return between([&] { return disk_.stat(fd, out); });
  }
  int stat_at(int at, char const* path, struct stat& out, int flags) override {
    return between([&] { return disk_.stat_at(at, path, out, flags); });
  }
  int chmod(int fd, unsigned mode) override {
    return between([&] { return disk_.chmod(fd, mode); });
  }
  int chown(int fd, std::uint32_t user, std::uint32_t group) override {
    return between([&] { return disk_.chown(fd, user, group); });
  }
  int mkdir(char const* path, unsigned mode) override {
    return between([&] { return disk_.mkdir(path, mode); });
  }
  int rename(int from_at, char const* from, int to_at, char const* to) override {
    return between([&] { return disk_.rename(from_at, from, to_at, to); });
  }
  int unlink(int at, char const* path, int flags) override {
    return between([&] { return disk_.unlink(at, path, flags); });
  }
  int symlink(char const* target, int at, char const* path) override {
    return between([&] { return disk_.symlink(target, at, path); });
  }
  ssize_t readlink(char const* path, char* out, std::size_t size) override {
    return between([&] { return disk_.readlink(path, out, size); });
  }
  int next_names(int fd, std::vector<std::string>& out) override {
    return between([&] { return disk_.next_names(fd, out); });
  }
  int free_bytes(char const* path, std::uint64_t& out) override {
    return between([&] { return disk_.free_bytes(path, out); });
  }
  int lock(int fd, int operation) override {
    return between([&] { return disk_.lock(fd, operation); });
  }

private:
  Disk& disk_;
  std::mutex mutex_;
};

}  // namespace fleet::crash
