#include "core/base/fs.hpp"

#include "core/base/descriptor.hpp"
#include "core/base/foreign.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace fleet {
namespace {

constexpr auto failed = system_error;

class SystemFile final : public File {
public:
  SystemFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> write_at(std::uint64_t offset, BytesView bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      auto const n = ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno != EINTR) return failed("write", path_, errno);
      if (n > 0) done += static_cast<std::size_t>(n);
    }
    return {};
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    for (;;) {
      auto const n = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) return failed("read", path_, errno);
    }
  }
  Result<std::uint64_t> size() override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }
  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return failed("truncate", path_, errno);
    return {};
  }
  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return failed("fdatasync", path_, errno);
    return {};
  }
  Result<void> reserve(std::uint64_t bytes) override {
    FLEET_TRY(auto const end, size());
    if (::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(end), static_cast<off_t>(bytes)) == 0) return {};
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
    return failed("reserve room in", path_, errno);
  }

private:
  Descriptor fd_;
  std::string path_;
};

std::string parent_of(std::string const& path) {
  auto const slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class SystemFs final : public Fs {
public:
  Result<std::unique_ptr<File>> open(std::string const& path, Mode mode, unsigned permissions) override {
    constexpr std::array<int, 4> kFlags{O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL};
    int const flags = kFlags[static_cast<std::size_t>(mode)] | O_CLOEXEC | O_NOFOLLOW;
    Descriptor fd(::open(path.c_str(), flags, permissions));
    if (fd.get() < 0) return failed("open", path, errno);
    return std::unique_ptr<File>(std::make_unique<SystemFile>(std::move(fd), path));
  }

  Result<std::string> read(std::string const& path, std::uint64_t limit) override {
    Descriptor const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return failed("open", path, errno);
    return read_all(fd, path, limit);
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
    ::unlink(temporary.c_str());
    return replaced;
  }

  Result<void> make_dirs(std::string const& path, unsigned permissions) override {
    for (std::size_t at = 1; at <= path.size(); ++at) {
      if (at != path.size() && path[at] != '/') continue;
      auto const part = path.substr(0, at);
      if (::mkdir(part.c_str(), permissions) != 0 && errno != EEXIST) return failed("create folder", part, errno);
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return failed("stat", path, errno);
    if (!S_ISDIR(info.st_mode)) return failed("create folder", path, ENOTDIR);
    return {};
  }

  Result<void> rename(std::string const& from, std::string const& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename " + from + " to", to, errno);
    return {};
  }
  Result<void> symlink(std::string const& target, std::string const& link) override {
    // In the folder as it is, which must be none: a path could be bent between a look at it and this.
    Descriptor const folder(::open(parent_of(link).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (folder.get() < 0 || ::symlinkat(target.c_str(), folder.get(), link.c_str() + (link.find_last_of('/') + 1)) != 0) return failed("link", link, errno);
    return {};
  }
  Result<std::string> read_link(std::string const& path) override {
    std::array<char, PATH_MAX> target{};
    auto const n = ::readlink(path.c_str(), target.data(), target.size());
    if (n < 0) return failed("read link", path, errno);
    return std::string(target.data(), static_cast<std::size_t>(n));
  }
  Result<void> remove(std::string const& path) override {
    if (::remove(path.c_str()) != 0) return failed("remove", path, errno);
    return {};
  }
  Result<void> remove_tree(std::string const& path) override { return foreign::remove_tree(path); }
  Result<void> make_private_dir(std::string const& path, Owner owner) override { return foreign::make_private_dir(path, owner); }
  Result<void> narrow_dir(std::string const& path, unsigned permissions) override { return foreign::narrow_dir(path, permissions); }
  Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner owner) override { return foreign::read_own(path, limit, owner); }
  Result<std::vector<std::string>> list(std::string const& path) override {
    std::unique_ptr<DIR, int (*)(DIR*)> const dir(::opendir(path.c_str()), ::closedir);
    if (!dir) return failed("list", path, errno);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      auto const* const entry = ::readdir(dir.get());
      if (entry == nullptr && errno != 0) return failed("list", path, errno);
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  Result<FileInfo> info(std::string const& path) override {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return failed("stat", path, errno);
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
    Descriptor const fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (fd.get() < 0 || ::fchmod(fd.get(), executable ? 0755 : 0644) != 0) return failed("chmod", path, errno);
    return {};
  }
  Result<void> sync_dir(std::string const& path) override {
    Descriptor const fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return failed("open", path, errno);
    if (::fsync(fd.get()) != 0) return failed("fsync", path, errno);
    return {};
  }
  Result<std::uint64_t> free_bytes(std::string const& path) override {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) != 0) return failed("statvfs", path, errno);
    return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  }
};

}  // namespace

Fs& system_fs() {
  static SystemFs fs;
  return fs;
}

Result<std::string> absolute_path(std::string path) {
  if (!path.starts_with('/')) {
    std::array<char, PATH_MAX> here{};
    if (::getcwd(here.data(), here.size()) == nullptr) return failed("look for the folder of", path, errno);
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
