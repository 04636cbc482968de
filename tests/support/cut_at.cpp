// Preloaded into an agent: after its $CUT_AT-th call that changes a file it stops (SIGSTOP), for whoever takes a picture of the disk and kills it. $CUT_COUNT names a file whose first eight bytes
// are how many there were.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

/// Programs that it starts are of no concern: they are other processes.
pid_t const own = ::getpid();
std::uint64_t const cut_at = std::getenv("CUT_AT") == nullptr ? 0 : std::strtoull(std::getenv("CUT_AT"), nullptr, 10);

std::atomic<std::uint64_t>& counted() {
  static std::atomic<std::uint64_t> none{0};
  static auto* const shared = []() -> std::atomic<std::uint64_t>* {
    char const* const path = std::getenv("CUT_COUNT");
    int const fd = path == nullptr ? -1 : ::open64(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ::posix_fallocate64(fd, 0, sizeof none) != 0) return &none;
    void* const mapped = ::mmap(nullptr, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return mapped == MAP_FAILED ? &none : static_cast<std::atomic<std::uint64_t>*>(mapped);
  }();
  return *shared;
}

template <class T>
T done(T answer) {
  if (answer >= 0 && ::getpid() == own && ++counted() == cut_at) ::raise(SIGSTOP);
  return answer;
}

template <class F>
F* next(char const* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
#define NEXT(name) static auto* const below = next<decltype(name)>(#name)

template <class Open>
int opened(Open* below, int at, char const* path, int flags, unsigned mode) {
  auto const fd = below(at, path, flags, mode);
  return (flags & O_CREAT) != 0 ? done(fd) : fd;
}

}  // namespace

extern "C" {
int openat(int at, char const* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  auto const mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0U;
  va_end(rest);
  NEXT(openat);
  return opened(below, at, path, flags, mode);
}
int openat64(int at, char const* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  auto const mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0U;
  va_end(rest);
  NEXT(openat64);
  return opened(below, at, path, flags, mode);
}
ssize_t pwrite(int fd, void const* bytes, size_t size, off_t offset) {
  NEXT(pwrite);
  return done(below(fd, bytes, size, offset));
}
ssize_t pwrite64(int fd, void const* bytes, size_t size, off64_t offset) {
  NEXT(pwrite64);
  return done(below(fd, bytes, size, offset));
}
int ftruncate(int fd, off_t size) {
  NEXT(ftruncate);
  return done(below(fd, size));
}
int ftruncate64(int fd, off64_t size) {
  NEXT(ftruncate64);
  return done(below(fd, size));
}
int fdatasync(int fd) {
  NEXT(fdatasync);
  return done(below(fd));
}
int fsync(int fd) {
  NEXT(fsync);
  return done(below(fd));
}
int fchmod(int fd, mode_t mode) {
  NEXT(fchmod);
  return done(below(fd, mode));
}
int mkdir(char const* path, mode_t mode) {
  NEXT(mkdir);
  return done(below(path, mode));
}
int renameat(int from_at, char const* from, int to_at, char const* to) {
  NEXT(renameat);
  return done(below(from_at, from, to_at, to));
}
int unlinkat(int at, char const* path, int flags) {
  NEXT(unlinkat);
  return done(below(at, path, flags));
}
int symlinkat(char const* target, int at, char const* path) {
  NEXT(symlinkat);
  return done(below(target, at, path));
}
}
