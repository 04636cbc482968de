#include "agent/unpack/reader/archive.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <cstdio>
#include <cstring>

namespace {

using namespace fleet;
using namespace fleet::agent;

constexpr int kFailed = 1, kUsage = 2, kRefused = 3;
/// zstd wants a window of 128 MiB at most from libarchive, zip and gzip next to nothing: whoever asks for more has no archive.
constexpr rlim_t kMemoryMax = 512ULL << 20U;

Result<void> write_all(void*, std::string_view bytes) {
  while (!bytes.empty()) {
    auto const n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Kind::io, "io_failed", fmt::format("write: {}", std::strerror(errno))};
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

bool read_number(char const* text, std::uint64_t& out) {
  auto const* const end = text + std::strlen(text);
  auto const [at, fault] = std::from_chars(text, end, out);
  return fault == std::errc{} && at == end && end != text;
}

}  // namespace

int main(int argc, char** argv) try {
  ArchiveLimits limits;
  auto const format = argc == 4 ? archive_format_of(argv[1]) : std::nullopt;
  if (!format || !read_number(argv[2], limits.entries) || !read_number(argv[3], limits.bytes)) {
    fmt::print(stderr, "usage: fleet-unpack tar|tar.gz|tar.zst|zip ENTRIES BYTES <ARCHIVE\nTells fleet-agent what an archive holds; it makes no file.\n");
    return kUsage;
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve more
  rlimit const memory{kMemoryMax, kMemoryMax};
  if (::setrlimit(RLIMIT_AS, &memory) != 0) return kFailed;
#endif
  std::setlocale(LC_CTYPE, "C.UTF-8");  // names are UTF-8, whoever's
  EntryEncoder told(write_all, nullptr);
  auto const read = read_archive(STDIN_FILENO, *format, limits, told);
  if (read) return 0;
  fmt::print(stderr, "{}\n", read.error().detail);
  return read.error().code == "bad_archive" ? kRefused : kFailed;
} catch (std::exception const& bug) {
  fmt::print(stderr, "fleet-unpack: {}\n", bug.what());
  return kFailed;
}
