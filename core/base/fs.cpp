#include "core/base/fs.hpp"

#include "core/base/descriptor.hpp"
#include "core/base/foreign.hpp"
#include "core/base/kernel.hpp"
#include "core/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace fleet {
namespace {

/// @param answer  of the kernel: -errno
template <class T>
Error failed(std::string_view doing, std::string const& path, T answer) {
  return system_error(doing, path, static_cast<int>(-answer));
}
template <class T>
Result<void> done(std::string_view doing, std::string const& path, T answer) {
  return answer < 0 ? failed(doing, path, answer) : Result<void>{};
}

class KernelFile final : public File {
public:
  KernelFile(Kernel& kernel, Handle file, std::string path) : kernel_(kernel), file_(std::move(file)), path_(std::move(path)) {}

  Result<void> write_at(std::uint64_t offset, BytesView bytes) override {
    while (!bytes.empty()) {
      auto const n = uninterrupted([&] { return kernel_.pwrite(file_.get(), bytes.data(), bytes.size(), offset); });
      if (n < 0) return failed("write", path_, n);
      if (n == 0) return failed("write", path_, -EIO);  // nothing was wrong and nothing was written: that would never end
      offset += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    auto const n = uninterrupted([&] { return kernel_.pread(file_.get(), out.data(), out.size(), offset); });
    if (n < 0) return failed("read", path_, n);
    return static_cast<std::size_t>(n);
  }
  Result<std::uint64_t> size() override {
    struct stat info {};
    FLEET_CHECK(done("stat", path_, kernel_.stat(file_.get(), info)));
    return static_cast<std::uint64_t>(info.st_size);
  }
  Result<void> truncate(std::uint64_t size) override {
    return done("truncate", path_, uninterrupted([&] { return kernel_.truncate(file_.get(), size); }));
  }
  Result<void> sync() override {
    return done("fdatasync", path_, uninterrupted([&] { return kernel_.datasync(file_.get()); }));
  }
  Result<void> sync_all() override {
    return done("fsync", path_, uninterrupted([&] { return kernel_.sync(file_.get()); }));
  }
  void drop_cached() override { kernel_.drop_cached(file_.get()); }
  Result<void> reserve(std::uint64_t bytes) override {
    FLEET_TRY(auto const end, size());
    auto const answer = uninterrupted([&] { return kernel_.allocate(file_.get(), end, bytes); });
    if (answer == -EOPNOTSUPP || answer == -ENOSYS) return {};
    return done("reserve room in", path_, answer);
  }

private:
  Kernel& kernel_;
  Handle file_;
  std::string path_;
};

class HeldFile final : public Lock {
public:
  explicit HeldFile(Handle file) : file_(std::move(file)) {}

private:
  Handle file_;
};

std::string parent_of(std::string const& path) {
  auto const slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class KernelFs final : public Fs {
public:
  explicit KernelFs(Kernel& kernel) : kernel_(kernel) {}

  Result<std::unique_ptr<File>> open(std::string const& path, Mode mode, unsigned permissions) override {
    constexpr std::array<int, 4> kFlags{O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL};
    auto fd = opened(path, kFlags[static_cast<std::size_t>(mode)] | O_NOFOLLOW, permissions);
    if (!fd) return system_error("open", path, fd.error());
    return std::unique_ptr<File>(std::make_unique<KernelFile>(kernel_, std::move(fd), path));
  }

  Result<std::string> read(std::string const& path, std::uint64_t limit) override {
    auto const fd = opened(path, O_RDONLY);
    if (!fd) return system_error("open", path, fd.error());
    return read_all(kernel_, fd, path, limit);
  }

  Result<void> replace(std::string const& path, std::string_view content, unsigned permissions) override {
    auto const temporary = path + ".new";
    FLEET_CHECK(remove_tree(temporary));
    auto const replaced = [&]() -> Result<void> {
      FLEET_TRY(auto const file, open(temporary, Mode::create_new, permissions));
      FLEET_CHECK(file->write_at(0, as_bytes(content)));
      FLEET_CHECK(file->sync());
      return rename(temporary, path);
    }();
    if (replaced) return sync_dir(parent_of(path));
    static_cast<void>(kernel_.unlink(AT_FDCWD, temporary.c_str(), 0));
    return replaced;
  }

  Result<void> make_dirs(std::string const& path, unsigned permissions) override {
    for (std::size_t at = 1; at <= path.size(); ++at) {
      if (at != path.size() && path[at] != '/') continue;
      auto const part = path.substr(0, at);
      if (auto const answer = kernel_.mkdir(part.c_str(), permissions); answer != -EEXIST) FLEET_CHECK(done("create folder", part, answer));
    }
    struct stat info {};
    FLEET_CHECK(done("stat", path, kernel_.stat_at(AT_FDCWD, path.c_str(), info, 0)));
    return S_ISDIR(info.st_mode) ? Result<void>{} : failed("create folder", path, -ENOTDIR);
  }

  Result<void> rename(std::string const& from, std::string const& to) override {
    return done("rename " + from + " to", to, kernel_.rename(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str()));
  }
  Result<void> symlink(std::string const& target, std::string const& link) override {
    // In the folder as it is, which must be none: a path could be bent between a look at it and this.
    auto const folder = opened(parent_of(link), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!folder) return system_error("link", link, folder.error());
    return done("link", link, kernel_.symlink(target.c_str(), folder.get(), link.c_str() + (link.find_last_of('/') + 1)));
  }
  Result<std::string> read_link(std::string const& path) override {
    std::array<char, PATH_MAX> target{};
    auto const n = kernel_.readlink(path.c_str(), target.data(), target.size());
    if (n < 0) return failed("read link", path, n);
    return std::string(target.data(), static_cast<std::size_t>(n));
  }
  Result<void> remove(std::string const& path) override {
    auto answer = kernel_.unlink(AT_FDCWD, path.c_str(), 0);
    if (answer == -EISDIR || answer == -EPERM) answer = kernel_.unlink(AT_FDCWD, path.c_str(), AT_REMOVEDIR);
    return done("remove", path, answer);
  }
  Result<void> remove_tree(std::string const& path) override { return foreign::remove_tree(kernel_, path); }
  Result<void> make_private_dir(std::string const& path, Owner owner) override { return foreign::make_private_dir(kernel_, path, owner); }
  Result<void> narrow_dir(std::string const& path, unsigned permissions) override { return foreign::narrow_dir(kernel_, path, permissions); }
  Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner owner) override { return foreign::read_own(kernel_, path, limit, owner); }
  Result<std::vector<std::string>> list(std::string const& path) override {
    auto const dir = opened(path, O_RDONLY | O_DIRECTORY);
    if (!dir) return system_error("list", path, dir.error());
    std::vector<std::string> names;
    for (;;) {
      auto const more = kernel_.next_names(dir.get(), names);
      if (more < 0) return failed("list", path, more);
      if (more == 0) break;
    }
    std::erase_if(names, [](std::string const& name) { return name == "." || name == ".."; });
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<FileInfo> info(std::string const& path) override {
    struct stat found {};
    FLEET_CHECK(done("stat", path, kernel_.stat_at(AT_FDCWD, path.c_str(), found, AT_SYMLINK_NOFOLLOW)));
    auto const type = S_ISREG(found.st_mode)   ? FileInfo::Type::file
                      : S_ISDIR(found.st_mode) ? FileInfo::Type::directory
                      : S_ISLNK(found.st_mode) ? FileInfo::Type::link
                                               : FileInfo::Type::other;
    constexpr std::int64_t kSecond = 1'000'000'000;
    return FileInfo{type,
                    static_cast<std::uint64_t>(found.st_size),
                    (found.st_mode & S_IXUSR) != 0,
                    {found.st_dev, found.st_ino, found.st_ctim.tv_sec * kSecond + found.st_ctim.tv_nsec}};
  }
  Result<void> set_executable(std::string const& path, bool executable) override {
    auto const fd = opened(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) return system_error("chmod", path, fd.error());
    return done("chmod", path, kernel_.chmod(fd.get(), executable ? 0755 : 0644));
  }
  Result<void> sync_dir(std::string const& path) override {
    auto const fd = opened(path, O_RDONLY | O_DIRECTORY);
    if (!fd) return system_error("open", path, fd.error());
    return done("fsync", path, uninterrupted([&] { return kernel_.sync(fd.get()); }));
  }
  Result<std::uint64_t> free_bytes(std::string const& path) override {
    std::uint64_t bytes = 0;
    FLEET_CHECK(done("statvfs", path, uninterrupted([&] { return kernel_.free_bytes(path.c_str(), bytes); })));
    return bytes;
  }
  Result<std::unique_ptr<Lock>> lock(std::string const& path, unsigned permissions) override {
    // A pipe in its place must not keep us waiting for its other end. Made only where it is absent: in folders that everybody may write to, O_CREAT
    // refuses what is somebody else's (fs.protected_regular).
    constexpr int kHow = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    auto fd = opened(path, kHow);
    if (!fd && fd.error() == ENOENT) {
      fd = opened(path, kHow | O_CREAT, permissions);
      if (fd && kernel_.chmod(fd.get(), permissions) != 0) log::warn("lock.mode", {{"path", path}});  // whatever our umask says
    }
    if (!fd) return system_error("open", path, fd.error());
    auto const answer = kernel_.lock(fd.get(), LOCK_EX | LOCK_NB);
    if (answer == -EWOULDBLOCK) return Error{Kind::conflict, "locked", path + " is held by another process"};
    FLEET_CHECK(done("lock", path, answer));
    return std::unique_ptr<Lock>(std::make_unique<HeldFile>(std::move(fd)));
  }

private:
  [[nodiscard]] Handle opened(std::string const& path, int flags, unsigned permissions = 0) {
    return {kernel_, uninterrupted([&] { return kernel_.open(AT_FDCWD, path.c_str(), flags | O_CLOEXEC, permissions); })};
  }
  Kernel& kernel_;
};

}  // namespace

Fs& system_fs() {
  static KernelFs fs(system_kernel());
  return fs;
}

std::unique_ptr<Fs> make_fs(Kernel& kernel) { return std::make_unique<KernelFs>(kernel); }

Result<std::unique_ptr<File>> adopt_file(Descriptor fd, std::string name) {
  struct stat info {};
  FLEET_CHECK(done("stat", name, system_kernel().stat(fd.get(), info)));
  if (!S_ISREG(info.st_mode)) return Error{Kind::bad_input, "no_file", name + " is no regular file"};
  return std::unique_ptr<File>(std::make_unique<KernelFile>(system_kernel(), Handle(system_kernel(), fd.release()), std::move(name)));
}

Result<std::string> absolute_path(std::string path) {
  if (!path.starts_with('/')) {
    std::array<char, PATH_MAX> here{};
    if (::getcwd(here.data(), here.size()) == nullptr) return system_error("look for the folder of", path, errno);
    path = std::string(here.data()) + "/" + path;
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

bool is_safe_relative_path(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/' || path.back() == '/') return false;
  if (path.find('\0') != std::string_view::npos || path.find('\\') != std::string_view::npos) return false;
  std::size_t from = 0;
  while (from <= path.size()) {
    auto const slash = std::min(path.find('/', from), path.size());
    auto const part = path.substr(from, slash - from);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    from = slash + 1;
  }
  return true;
}

}  // namespace fleet
