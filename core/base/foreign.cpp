#include "core/base/foreign.hpp"

#include "core/base/descriptor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace fleet::foreign {
namespace {

/// A folder that somebody refills for ever is given up.
constexpr int kPassesMax = 1'000'000;
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Error failed(std::string_view doing, std::string const& path, int answer) { return system_error(doing, path, -answer); }

Handle open_at(Kernel& kernel, int at, char const* path, int flags) {
  return {kernel, uninterrupted([&] { return kernel.open(at, path, flags | O_CLOEXEC, 0); })};
}

/// Opened for reading; a folder of ours whose mode keeps us out is opened to us first.
Handle open_dir(Kernel& kernel, int at, char const* name) {
  auto place = open_at(kernel, at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!place) return place;
  struct stat info {};
  if (auto const answer = kernel.stat(place.get(), info); answer != 0) return {kernel, answer};
  if ((info.st_mode & S_IRWXU) != S_IRWXU && info.st_uid == ::geteuid()) static_cast<void>(kernel.chmod(place.get(), S_IRWXU));
  return open_at(kernel, place.get(), ".", kOpenDir);
}

class Removal {
public:
  Removal(Kernel& kernel, Handle top, std::string path) : kernel_(kernel), top_(std::move(top)), path_(std::move(path)) {}

  Result<void> run() {
    struct stat info {};
    if (auto const answer = kernel_.stat(top_.get(), info); answer != 0) return failed("stat", path_, answer);
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
  Result<void> each(Handle const& folder, F const& visit) {
    auto const dir = open_at(kernel_, folder.get(), ".", kOpenDir);
    if (!dir) return system_error("list", path_, dir.error());
    for (std::vector<std::string> names;; names.clear()) {
      auto const more = kernel_.next_names(dir.get(), names);
      if (more < 0) return failed("list", path_, more);
      if (more == 0) return {};
      for (auto const& name : names)
        if (name != "." && name != "..") FLEET_CHECK(visit(name.c_str()));
    }
  }

  /// True: it is gone, or never was; else why not.
  int unlinked(Handle const& folder, char const* name) {
    auto answer = kernel_.unlink(folder.get(), name, 0);
    if (answer == -EISDIR || answer == -EPERM) answer = kernel_.unlink(folder.get(), name, AT_REMOVEDIR);
    return answer == -ENOENT ? 0 : answer;
  }

  /// What lies in a folder of the top is removed, or moved up to the top if it is a folder with content: the next pass finds it there.
  Result<void> remove_entry(char const* name) {
    auto const unlinked_here = unlinked(top_, name);
    if (unlinked_here == 0) return {};
    if (!is_full(unlinked_here)) return failed("remove", path_ + "/" + name, unlinked_here);
    auto const folder = open_dir(kernel_, top_.get(), name);
    if (!folder) return system_error("remove", path_ + "/" + name, folder.error());
    struct stat info {};
    if (auto const answer = kernel_.stat(folder.get(), info); answer != 0) return failed("stat", path_ + "/" + name, answer);
    if (info.st_dev != device_) return Error{Kind::io, "io_failed", fmt::format("{}/{} is on another file system and is left alone", path_, name)};
    FLEET_CHECK(each(folder, [&](char const* inner) { return unlinked(folder, inner) == 0 ? Result<void>{} : move_up(folder, inner); }));
    // What came in between is met by the next pass.
    auto const answer = kernel_.unlink(top_.get(), name, AT_REMOVEDIR);
    return answer == 0 || answer == -ENOENT || is_full(answer) ? Result<void>{} : failed("remove", path_ + "/" + name, answer);
  }

  /// A folder that is not empty; one that others closed to us, or that is a mount, is looked into, too.
  static bool is_full(int answer) { return answer == -ENOTEMPTY || answer == -EEXIST || answer == -EACCES || answer == -EBUSY; }

  Result<void> move_up(Handle const& folder, char const* name) {
    static_cast<void>(open_dir(kernel_, folder.get(), name));  // moving a folder writes in it
    for (;;) {
      auto const to = fmt::format(".removed-{}", moved_++);
      auto const answer = kernel_.rename(folder.get(), name, top_.get(), to.c_str());
      if (answer == 0 || answer == -ENOENT) return {};
      if (answer != -EEXIST && answer != -ENOTEMPTY && answer != -ENOTDIR && answer != -EISDIR) return failed("remove", path_ + "/.../" + name, answer);
    }
  }

  Kernel& kernel_;
  Handle top_;
  std::string path_;
  dev_t device_ = 0;
  std::uint64_t moved_ = 0;
};

Error not_its_own(std::string const& path, std::string_view why) {
  return {Kind::unprocessable, "not_its_own", fmt::format("{} is {}", path, why), "it is not read: somebody else's content could stand in it"};
}

}  // namespace

Result<void> remove_tree(Kernel& kernel, std::string const& path) {
  auto const unlinked = kernel.unlink(AT_FDCWD, path.c_str(), 0);
  if (unlinked == 0 || unlinked == -ENOENT) return {};
  if (unlinked != -EISDIR && unlinked != -EPERM) return failed("remove", path, unlinked);
  auto top = open_dir(kernel, AT_FDCWD, path.c_str());
  if (!top) return system_error("remove folder", path, top.error());
  FLEET_CHECK(Removal(kernel, std::move(top), path).run());
  auto const answer = kernel.unlink(AT_FDCWD, path.c_str(), AT_REMOVEDIR);
  return answer == 0 || answer == -ENOENT ? Result<void>{} : failed("remove folder", path, answer);
}

Result<void> make_private_dir(Kernel& kernel, std::string const& path, Owner owner) {
  if (auto const answer = kernel.mkdir(path.c_str(), S_IRWXU); answer != 0) return failed("create folder", path, answer);
  auto const made = open_at(kernel, AT_FDCWD, path.c_str(), kOpenDir);
  if (!made) return system_error("create folder", path, made.error());
  if (auto const answer = kernel.chmod(made.get(), S_IRWXU); answer != 0) return failed("create folder", path, answer);
  auto const given = owner.user == ::geteuid() ? 0 : kernel.chown(made.get(), owner.user, owner.group);
  return given == 0 ? Result<void>{} : failed("give away folder", path, given);
}

Result<void> narrow_dir(Kernel& kernel, std::string const& path, unsigned permissions) {
  constexpr unsigned kAll = 0777;
  auto const folder = open_at(kernel, AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!folder) return system_error("open", path, folder.error());
  struct stat info {};
  if (auto const answer = kernel.stat(folder.get(), info); answer != 0) return failed("open", path, answer);
  bool const ours = info.st_uid == ::geteuid(), open = (info.st_mode & kAll & ~permissions) != 0;
  if (!open && (ours || info.st_uid == 0)) return {};
  if (!ours)
    return Error{Kind::forbidden, "folder_open",
                 fmt::format("{} belongs to user {} and has mode {:o}: others could read or change what is kept there", path, info.st_uid, info.st_mode & kAll),
                 fmt::format("give it to user {} with mode {:o}", ::geteuid(), permissions)};
  auto const answer = kernel.chmod(folder.get(), info.st_mode & permissions);
  return answer == 0 ? Result<void>{} : failed("chmod", path, answer);
}

Result<std::string> read_own(Kernel& kernel, std::string const& path, std::uint64_t limit, Owner owner) {
  auto const slash = path.find_last_of('/');
  auto const folder = open_at(kernel, AT_FDCWD, path.substr(0, slash).c_str(), kOpenDir);
  if (!folder) return system_error("open", path, folder.error());
  // Without waiting: the writer of a pipe might never come.
  auto const file = open_at(kernel, folder.get(), path.c_str() + slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file && (file.error() == ELOOP || file.error() == ENXIO)) return not_its_own(path, file.error() == ELOOP ? "a link" : "no regular file");
  if (!file) return system_error("open", path, file.error());
  struct stat info {};
  if (auto const answer = kernel.stat(file.get(), info); answer != 0) return failed("stat", path, answer);
  if (!S_ISREG(info.st_mode)) return not_its_own(path, "no regular file");
  if (info.st_uid != owner.user) return not_its_own(path, fmt::format("a file of user {}, expected user {}", info.st_uid, owner.user));
  if (info.st_nlink != 1) return not_its_own(path, fmt::format("a file of {} names", info.st_nlink));
  return read_all(kernel, file, path, limit);
}

}  // namespace fleet::foreign
