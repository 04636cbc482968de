#include "agent/unpack/reader/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

namespace fleet::agent {
namespace {

constexpr std::size_t kBlockBytes = 64 * 1024;
/// gzip of gzip of gzip: the format says one filter, or none; libarchive counts one more for the file itself.
constexpr int kFiltersMax = 2;
constexpr std::string_view kCapability = "security.capability";

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

/// What libarchive says against it; where this machine lacks memory or its disk fails, that is no word about the archive.
Error fault(archive* reader, std::string const& name = {}) {
  auto const* const text = archive_error_string(reader);
  auto const detail = fmt::format("{}{}", name.empty() ? "" : fmt::format("'{}': ", name), text == nullptr ? "it cannot be read" : text);
  auto const number = archive_errno(reader);
  if (number == ENOMEM || number == EIO) return {Kind::io, "io_failed", detail};
  return bad_archive(detail);
}

/// A file that can be read at any place, for libarchive, which seeks in nothing but files that it opens by name.
struct FromFd {
  int fd;
  std::vector<char> block = std::vector<char>(kBlockBytes);
  static la_ssize_t read(archive* reader, void* self, void const** out) {
    auto& from = *static_cast<FromFd*>(self);
    *out = from.block.data();
    for (;;) {
      auto const n = ::read(from.fd, from.block.data(), from.block.size());
      if (n >= 0 || errno != EINTR) {
        if (n < 0) archive_set_error(reader, errno, "read");
        return n;
      }
    }
  }
  static la_int64_t seek(archive*, void* self, la_int64_t offset, int whence) {
    auto const at = ::lseek(static_cast<FromFd*>(self)->fd, offset, whence);
    return at < 0 ? ARCHIVE_FATAL : at;
  }
};

Result<Reader> make_reader(ArchiveFormat format) {
  Reader out(archive_read_new(), archive_read_free);
  if (!out) return Error{Kind::io, "io_failed", "no memory for an archive's reader"};
  int const filter = format == ArchiveFormat::tar_gz    ? archive_read_support_filter_gzip(out.get())
                     : format == ArchiveFormat::tar_zst ? archive_read_support_filter_zstd(out.get())
                                                        : archive_read_support_filter_none(out.get());
  int const reads = format == ArchiveFormat::zip ? archive_read_support_format_zip_seekable(out.get()) : archive_read_support_format_tar(out.get());
  // A filter that libarchive was built without would be run as a program: never.
  if (filter != ARCHIVE_OK || reads != ARCHIVE_OK) return Error{Kind::io, "io_failed", fmt::format("this libarchive does not read {}", to_string(format))};
  return out;
}

class Walk {
public:
  Walk(archive* reader, ArchiveFormat format, ArchiveLimits const& limits, EntrySink& sink) : reader_(reader), format_(format), limits_(limits), sink_(sink) {}

  Result<void> run() {
    for (;;) {
      archive_entry* entry = nullptr;
      auto const got = archive_read_next_header(reader_, &entry);
      if (got == ARCHIVE_EOF) break;
      if (got != ARCHIVE_OK) return fault(reader_);
      FLEET_CHECK(check_format());
      if (++entries_ > limits_.entries) return bad_archive(fmt::format("more than {} entries", limits_.entries));
      FLEET_CHECK(take(entry));
    }
    if (entries_ == 0) return bad_archive(fmt::format("it holds nothing, or is no {}", to_string(format_)));
    return sink_.end();
  }

private:
  Result<void> check_format() {
    if (archive_filter_count(reader_) <= kFiltersMax) return {};
    return bad_archive("it is compressed more than once");
  }

  Result<void> take(archive_entry* entry) {
    FLEET_TRY(auto const name, name_of(entry));
    auto const type = archive_entry_filetype(entry);
    if (name.empty() && type == AE_IFDIR) return {};  // the folder itself: `./`
    FLEET_CHECK(check_entry_name(name));
    auto const refuse = [&](std::string_view what) { return bad_archive(fmt::format("'{}' is {}", name, what)); };
    if (archive_entry_hardlink(entry) != nullptr) return refuse("a hard link");
    if (archive_entry_is_encrypted(entry) != 0) return refuse("encrypted");
    if (type == AE_IFDIR) return sink_.folder(name);
    if (type == AE_IFLNK) return take_link(name, entry);
    if (type != AE_IFREG) return refuse("neither file, folder nor link");
    auto const mode = archive_entry_mode(entry);
    if ((mode & (S_ISUID | S_ISGID)) != 0) return refuse("setuid or setgid");
    if (has_capability(entry)) return refuse("a file with capabilities");
    FLEET_CHECK(sink_.file(name, (mode & S_IXUSR) != 0));
    return take_bytes(name);
  }

  static Result<std::string> name_of(archive_entry* entry) {
    auto const* text = archive_entry_pathname(entry);
    if (text == nullptr) text = archive_entry_pathname_utf8(entry);
    if (text == nullptr) return bad_archive("a name that is no text");
    std::string name(text);
    while (name.starts_with("./")) name.erase(0, 2);
    if (name == ".") name.clear();
    if (archive_entry_filetype(entry) == AE_IFDIR && name.ends_with('/')) name.pop_back();
    return name;
  }

  Result<void> take_link(std::string const& name, archive_entry* entry) {
    auto const* const target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return bad_archive(fmt::format("link '{}' leads nowhere", name));
    std::string_view const text(target);
    if (text.size() > 1024) return bad_archive(fmt::format("link '{}' has a target of {} bytes, at most 1024 are taken", name, text.size()));
    return sink_.link(name, text);
  }

  static bool has_capability(archive_entry* entry) {
    archive_entry_xattr_reset(entry);
    for (;;) {
      char const* name = nullptr;
      void const* value = nullptr;
      std::size_t size = 0;
      if (archive_entry_xattr_next(entry, &name, &value, &size) != ARCHIVE_OK) return false;
      if (name != nullptr && kCapability == name) return true;
    }
  }

  /// Holes of a sparse file come as zeros, and count.
  Result<void> take_bytes(std::string const& name) {
    for (;;) {
      auto const n = archive_read_data(reader_, piece_.data(), piece_.size());
      if (n == 0) return {};
      if (n < 0) return fault(reader_, name);
      auto const size = static_cast<std::size_t>(n);
      if (size > limits_.bytes - bytes_) return bad_archive(fmt::format("'{}': more than {} bytes come out of it", name, limits_.bytes));
      bytes_ += size;
      FLEET_CHECK(sink_.data(BytesView(piece_).first(size)));
    }
  }

  archive* reader_;
  ArchiveFormat format_;
  ArchiveLimits const& limits_;
  EntrySink& sink_;
  std::uint64_t entries_ = 0, bytes_ = 0;
  Bytes piece_ = Bytes(kPieceBytesMax);
};

}  // namespace

Result<void> read_archive(int fd, ArchiveFormat format, ArchiveLimits const& limits, EntrySink& sink) {
  FLEET_TRY(auto const reader, make_reader(format));
  FromFd from{fd};
  archive_read_set_read_callback(reader.get(), FromFd::read);
  archive_read_set_seek_callback(reader.get(), FromFd::seek);
  archive_read_set_callback_data(reader.get(), &from);
  if (archive_read_open1(reader.get()) != ARCHIVE_OK) return fault(reader.get());
  return Walk(reader.get(), format, limits, sink).run();
}

Result<void> read_archive(BytesView bytes, ArchiveFormat format, ArchiveLimits const& limits, EntrySink& sink) {
  FLEET_TRY(auto const reader, make_reader(format));
  if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) return fault(reader.get());
  return Walk(reader.get(), format, limits, sink).run();
}

}  // namespace fleet::agent
