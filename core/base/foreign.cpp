#include "core/base/foreign.hpp"

#include "core/base/descriptor.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <memory>

namespace fleet::foreign {
namespace {

/// A folder that somebody refills for ever is given up.
constexpr int kPassesMax = 1'000'000;
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Opened for reading; a folder of ours whose mode keeps us out is opened to us first.
Descriptor open_dir(int at, char const* name) {
  Descriptor const place(::openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!place) return Descriptor();
  struct stat info {};
  if (::fstat(place.get(), &info) != 0) return Descriptor();
  // chmod(2) of a descriptor that is a place only goes by its name in /proc, which nobody can bend.
  if ((info.st_mode & S_IRWXU) != S_IRWXU && info.st_uid == ::geteuid())
    static_cast<void>(::chmod(fmt::format("/proc/self/fd/{}", place.get()).c_str(), S_IRWXU));
  return Descriptor(::openat(place.get(), ".", kOpenDir));
}

class Removal {
public:
  Removal(Descriptor top, std::string path) : top_(std::move(top)), path_(std::move(path)) {}

  Result<void> run() {
    struct stat info {};
    if (::fstat(top_.get(), &info) != 0) return system_error("stat", path_, errno);
    device_ = info.st_dev;
    for (int pass = 0; pass < kPassesMax; ++pass) {
      int seen = 0;
      FLEET_CHECK(each(top_, [&](char const* name) -> Result<void> {
        ++seen;
        return remove_entry(name);
      }));
      if (seen == 0) return {};
    }
    return Error{Kind::io, "io_failed", fmt::format("{} does not become empty", path_)};
  }

private:
  template <class F>
  Result<void> each(Descriptor const& folder, F const& visit) {
    std::unique_ptr<DIR, int (*)(DIR*)> const dir(::fdopendir(::openat(folder.get(), ".", kOpenDir)), ::closedir);
    if (!dir) return system_error("list", path_, errno);
    for (;;) {
      errno = 0;
      auto const* const entry = ::readdir(dir.get());
      if (entry == nullptr && errno != 0) return system_error("list", path_, errno);
      if (entry == nullptr) return {};
      std::string_view const name = entry->d_name;
      if (name != "." && name != "..") FLEET_CHECK(visit(entry->d_name));
    }
  }

  /// True: it is gone, or never was.
  static bool unlinked(Descriptor const& folder, char const* name) {
    return ::unlinkat(folder.get(), name, 0) == 0 || errno == ENOENT || ::unlinkat(folder.get(), name, AT_REMOVEDIR) == 0 || errno == ENOENT;
  }

  /// What lies in a folder of the top is removed, or moved up to the top if it is a folder with content: the next pass finds it there.
  Result<void> remove_entry(char const* name) {
    if (unlinked(top_, name)) return {};
    auto const folder = open_dir(top_.get(), name);
    if (!folder) return system_error("remove", path_ + "/" + name, errno);
    struct stat info {};
    if (::fstat(folder.get(), &info) != 0) return system_error("stat", path_ + "/" + name, errno);
    if (info.st_dev != device_) return Error{Kind::io, "io_failed", fmt::format("{}/{} is on another file system and is left alone", path_, name)};
    FLEET_CHECK(each(folder, [&](char const* inner) { return unlinked(folder, inner) ? Result<void>{} : move_up(folder, inner); }));
    // What came in between is met by the next pass.
    if (::unlinkat(top_.get(), name, AT_REMOVEDIR) != 0 && errno != ENOENT && errno != ENOTEMPTY) return system_error("remove", path_ + "/" + name, errno);
    return {};
  }

  Result<void> move_up(Descriptor const& folder, char const* name) {
    static_cast<void>(open_dir(folder.get(), name));  // moving a folder writes in it
    for (;;) {
      auto const to = fmt::format(".removed-{}", moved_++);
      if (::renameat(folder.get(), name, top_.get(), to.c_str()) == 0 || errno == ENOENT) return {};
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR && errno != EISDIR) return system_error("remove", path_ + "/.../" + name, errno);
    }
  }

  Descriptor top_;
  std::string path_;
  dev_t device_ = 0;
  std::uint64_t moved_ = 0;
};

Error not_its_own(std::string const& path, std::string_view why) {
  return {Kind::unprocessable, "not_its_own", fmt::format("{} is {}", path, why), "it is not read: somebody else's content could stand in it"};
}

}  // namespace

Result<void> remove_tree(std::string const& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return system_error("remove", path, errno);
  auto top = open_dir(AT_FDCWD, path.c_str());
  if (!top) return system_error("remove folder", path, errno);
  FLEET_CHECK(Removal(std::move(top), path).run());
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return system_error("remove folder", path, errno);
  return {};
}

Result<void> make_private_dir(std::string const& path, Owner owner) {
  if (::mkdir(path.c_str(), S_IRWXU) != 0) return system_error("create folder", path, errno);
  Descriptor const made(::open(path.c_str(), kOpenDir));
  if (!made || ::fchmod(made.get(), S_IRWXU) != 0) return system_error("create folder", path, errno);
  bool const given = owner.user == ::geteuid() || ::fchown(made.get(), owner.user, owner.group) == 0;
  return given ? Result<void>{} : system_error("give away folder", path, errno);
}

Result<void> narrow_dir(std::string const& path, unsigned permissions) {
  constexpr unsigned kAll = 0777;
  Descriptor const folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!folder || ::fstat(folder.get(), &info) != 0) return system_error("open", path, errno);
  bool const ours = info.st_uid == ::geteuid(), open = (info.st_mode & kAll & ~permissions) != 0;
  if (!open && (ours || info.st_uid == 0)) return {};
  if (!ours)
    return Error{Kind::forbidden, "folder_open",
                 fmt::format("{} belongs to user {} and has mode {:o}: others could read or change what is kept there", path, info.st_uid, info.st_mode & kAll),
                 fmt::format("give it to user {} with mode {:o}", ::geteuid(), permissions)};
  return ::fchmod(folder.get(), info.st_mode & permissions) == 0 ? Result<void>{} : system_error("chmod", path, errno);
}

Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner owner) {
  auto const slash = path.find_last_of('/');
  Descriptor const folder(::open(path.substr(0, slash).c_str(), kOpenDir));
  if (!folder) return system_error("open", path, errno);
  // Without waiting: the writer of a pipe might never come.
  Descriptor const file(::openat(folder.get(), path.c_str() + slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file && (errno == ELOOP || errno == ENXIO)) return not_its_own(path, errno == ELOOP ? "a link" : "no regular file");
  if (!file) return system_error("open", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error("stat", path, errno);
  if (!S_ISREG(info.st_mode)) return not_its_own(path, "no regular file");
  if (info.st_uid != owner.user) return not_its_own(path, fmt::format("a file of user {}, expected user {}", info.st_uid, owner.user));
  if (info.st_nlink != 1) return not_its_own(path, fmt::format("a file of {} names", info.st_nlink));
  return read_all(file, path, limit);
}

}  // namespace fleet::foreign
