#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace fleet {

/// An open file descriptor, closed on destruction; -1: none.
class Descriptor {
public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Whoever takes it closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void close();

private:
  int fd_;
};

/// `doing path: the system's words`, of the kind that the number stands for.
[[nodiscard]] Error system_error(std::string_view doing, std::string const& path, int number);
/// For reading, links followed. @errors not_found, io
[[nodiscard]] Result<Descriptor> open_to_read(std::string const& path);

}  // namespace fleet
