#include "core/base/descriptor.hpp"

#include "core/base/kernel.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

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

Result<Descriptor> open_to_read(std::string const& path) {
  auto const answer = uninterrupted([&] { return system_kernel().open(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0); });  // no pipe holds up who opens it
  if (answer < 0) return system_error("open", path, -answer);
  return Descriptor(answer);
}

}  // namespace fleet
