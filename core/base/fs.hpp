#pragma once

#include "core/base/bytes.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fleet {

/// What a path is, without following links.
struct FileInfo {
  enum class Type { file, directory, link, other } type = Type::file;
  std::uint64_t size = 0;
  bool executable = false;
  /// Which file it is and when it last changed, content or not: equal as long as nobody touched it.
  struct Identity {
    std::uint64_t device = 0, inode = 0;
    std::int64_t changed_ns = 0;
    auto operator<=>(Identity const&) const = default;
  } identity = {};
};

/// Whom a file belongs to.
struct Owner {
  std::uint32_t user = 0, group = 0;
};

/// An open file, for appending or positioned access. Closed on destruction.
class File {
public:
  virtual ~File() = default;
  /// Writes all of `bytes` at `offset`. @errors io, unavailable (ENOSPC: code `disk_full`)
  virtual Result<void> write_at(std::uint64_t offset, BytesView bytes) = 0;
  /// Reads up to `out.size()` bytes; 0 is the end.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  /// fdatasync(2): content and size, not the mode. An error is final for this file: the kernel forgets what it could not write, and reads it back all the same. Rewrite it from scratch.
  virtual Result<void> sync() = 0;
  /// fsync(2): the mode and the owner, too. @errors as sync
  virtual Result<void> sync_all() = 0;
  /// What memory holds of it, synced, is let go: the next read is the disk's word. Where that cannot be, nothing happens.
  virtual void drop_cached() {}
  /// Room behind the end: that many bytes can be appended when the disk is full. Where the file system cannot, nothing happens.
  /// @errors unavailable (`disk_full`), io
  virtual Result<void> reserve(std::uint64_t bytes) = 0;
};

/// A file held against other processes, and against other openings in this one, by flock(2); freed when it goes, or with the process. By itself: of nothing.
class Lock {
public:
  virtual ~Lock() = default;
};

/// The file system as it is handed to those that need one, so that tests can fail, fill and cut it.
/// Every error carries the path and the system's words.
class Fs {
public:
  enum class Mode { read, write, append_or_create, create_new };
  virtual ~Fs() = default;
  virtual Result<std::unique_ptr<File>> open(std::string const& path, Mode mode, unsigned permissions = 0644) = 0;
  /// Whole content. @errors not_found, io, too_large (over `limit` bytes)
  virtual Result<std::string> read(std::string const& path, std::uint64_t limit) = 0;
  /// Replaces `path` durably: temporary file beside it (whatever lay there under its name goes), fsync, rename, fsync of the folder. An error leaves
  /// no temporary file.
  virtual Result<void> replace(std::string const& path, std::string_view content, unsigned permissions = 0644) = 0;
  virtual Result<void> make_dirs(std::string const& path, unsigned permissions = 0755) = 0;
  /// A new folder that only `owner` may enter (and we, being root). Its parent must be ours alone. @errors conflict where it exists, io
  virtual Result<void> make_private_dir(std::string const& path, Owner owner) = 0;
  /// Takes from a folder what `permissions` does not give (0700, 0755). @errors forbidden (code `folder_open`) where it is somebody else's and
  /// gives more; not_found, io
  virtual Result<void> narrow_dir(std::string const& path, unsigned permissions) = 0;
  /// Whole content of a file in a folder that `owner` may write to: no link is followed there, and what was opened is a regular file of
  /// his, of one name. @errors not_found, unprocessable (code `not_its_own`: what it is instead), too_large, io
  virtual Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner owner) = 0;
  virtual Result<void> rename(std::string const& from, std::string const& to) = 0;
  virtual Result<void> symlink(std::string const& target, std::string const& link) = 0;
  virtual Result<std::string> read_link(std::string const& path) = 0;
  virtual Result<void> remove(std::string const& path) = 0;                    ///< a file, link or empty folder; not_found if absent
  virtual Result<void> remove_tree(std::string const& path) = 0;               ///< fine if absent; follows no link, whoever bends the paths below meanwhile
  virtual Result<std::vector<std::string>> list(std::string const& path) = 0;  ///< names, sorted, without . and ..
  virtual Result<FileInfo> info(std::string const& path) = 0;                  ///< @errors not_found, io
  virtual Result<void> set_executable(std::string const& path, bool executable) = 0;
  virtual Result<void> sync_dir(std::string const& path) = 0;  ///< fsync(2) of a folder
  virtual Result<std::uint64_t> free_bytes(std::string const& path) = 0;
  /// Without waiting. The file is made where it is absent: who may read it may lock it. No link is followed to it.
  /// @errors conflict (code `locked`: somebody else holds it, shared or not), not_found (no folder for it), io
  virtual Result<std::unique_ptr<Lock>> lock(std::string const& path, unsigned permissions = 0644) = 0;
};

/// The machine's file system.
[[nodiscard]] Fs& system_fs();
/// The same over another kernel, which outlives it.
class Kernel;
[[nodiscard]] std::unique_ptr<Fs> make_fs(Kernel& kernel);

/// A file that somebody handed over, open already. @errors bad_input (`no_file`: a pipe, a folder, a device), io
[[nodiscard]] Result<std::unique_ptr<File>> adopt_file(Descriptor fd, std::string name);

/// The same path from the file system's root on, without slashes at its end: for a process that works in other folders, too. @errors io
[[nodiscard]] Result<std::string> absolute_path(std::string path);

/// True for a relative path of plain components: no empty, `.` or `..` part, no leading `/`, no NUL or backslash.
[[nodiscard]] bool is_safe_relative_path(std::string_view path);

}  // namespace fleet
