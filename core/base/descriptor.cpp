#include "core/base/descriptor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace fleet {

void Descriptor::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Error system_error(std::string_view doing, std::string const& path, int number) {
  auto const text = fmt::format("{} {}: {}", doing, path, std::strerror(number));
  if (number == ENOENT || number == ENOTDIR) return {Kind::not_found, "no_such_file", text};
  if (number == ENOSPC || number == EDQUOT) return {Kind::unavailable, "disk_full", text, "free some space and try again"};
  if (number == EEXIST || number == ENOTEMPTY) return {Kind::conflict, "file_exists", text};
  if (number == EIO) return {Kind::io, "io_error", text, "the disk answers with errors"};
  if (number == EROFS) return {Kind::io, "read_only", text, "the file system is read-only: look for disk errors"};
  return {Kind::io, "io_failed", text};
}

Result<std::string> read_all(Descriptor const& file, std::string const& path, std::uint64_t limit) {
  std::string out;
  std::array<char, 65536> piece{};
  for (;;) {
    auto const n = ::read(file.get(), piece.data(), piece.size());
    if (n == 0) return out;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (out.size() + static_cast<std::size_t>(n) > limit)
      return Error{Kind::too_large, "file_too_large", fmt::format("{} is longer than {} bytes", path, limit)};
    out.append(piece.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace fleet
