#pragma once

#include "core/base/kernel.hpp"
#include "core/base/random.hpp"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::crash {

/// What a call is, for who looks at it or lets it fail.
enum class Call { open, create, read, write, truncate, datasync, sync, allocate, stat, chmod, chown, mkdir, rename, unlink, symlink, readlink, list, statvfs, lock };
[[nodiscard]] std::string_view to_string(Call call);
[[nodiscard]] bool changes(Call call);

/// What of all that was not synced a power cut leaves. POSIX promises nothing of it but that a rename is whole; each order is what some file system did.
enum class Order {
  lost,     ///< nothing
  kept,     ///< everything: the process was killed, the machine lived on
  names,    ///< every name, no content: files of no length, as ext4 and XFS leave them
  sizes,    ///< every name and length, zeros for content
  content,  ///< the content of every file, no name
  journal,  ///< names up to some instant, in order; of each file's content all, nothing or zeros
  mixed,    ///< of each change of a name, and of each sector of 512 bytes, one of its versions, whatever came before or after it
};
inline constexpr std::array kOrders{Order::lost, Order::kept, Order::names, Order::sizes, Order::content, Order::journal, Order::mixed};
[[nodiscard]] std::string_view to_string(Order order);
[[nodiscard]] std::optional<Order> order_of(std::string_view name);

/// A kernel with one file system in memory that tells what is written from what would survive a power cut. fdatasync keeps a file's content and size, fsync
/// its mode and owner, too; of a folder it keeps the names in it. A sync that failed loses what it was to write, for good, and says so once. One thread.
class Disk final : public Kernel {
public:
  static constexpr std::size_t kSector = 512;
  static constexpr int kFirstDescriptor = 1'000'000;  ///< above those of the machine: who has both can tell them apart

  Disk();
  /// As it is now, with nothing open.
  Disk(Disk const& other);
  Disk& operator=(Disk const& other);
  ~Disk() override = default;

  /// What a start finds after the power went now.
  [[nodiscard]] Disk after_cut(Order order, Random& random) const;
  /// Calls so far that changed something.
  [[nodiscard]] std::uint64_t changes() const { return op_; }
  /// Called after each of them, when it is done, with what it was.
  std::function<void(Call call, std::string const& path)> changed;
  /// Asked before each call: errno for one that is to fail, or 0. `kShort`: it writes half of what it was given.
  /// `kForget`: a sync that does nothing and says that it did.
  static constexpr int kShort = -1, kForget = -2;
  std::function<int(Call call, std::string const& path)> refuse;
  /// Nothing is made and no file grows but into what was reserved for it; 0: there is room.
  int full_errno = 0;
  bool read_only = false;  ///< the kernel has taken it back: EROFS for all that writes

  // For tests, past all rules: durable at once.
  void put(std::string const& path, std::string content, unsigned mode = 0644);
  void put_link(std::string const& path, std::string target);
  void make_dirs(std::string const& path);
  /// Nothing where there is no file.
  [[nodiscard]] std::optional<std::string> text(std::string const& path) const;
  [[nodiscard]] std::optional<std::string> target(std::string const& link) const;
  [[nodiscard]] bool is_executable(std::string const& path) const;
  [[nodiscard]] bool exists(std::string const& path) const { return find(path) != 0; }
  [[nodiscard]] std::size_t opened() const { return open_.size(); }
  /// Sorted; nothing where there is no folder.
  [[nodiscard]] std::vector<std::string> names(std::string const& folder) const;
  [[nodiscard]] std::uint32_t owner(std::string const& path) const;
  void give(std::string const& path, std::uint32_t user);

  int open(int at, char const* path, int flags, unsigned mode) override;
  void close(int fd) override;
  ssize_t read(int fd, void* out, std::size_t size) override;
  ssize_t pread(int fd, void* out, std::size_t size, std::uint64_t offset) override;
  ssize_t pwrite(int fd, void const* bytes, std::size_t size, std::uint64_t offset) override;
  int truncate(int fd, std::uint64_t size) override;
  int datasync(int fd) override;
  int sync(int fd) override;
  void drop_cached(int fd) override;
  int allocate(int fd, std::uint64_t offset, std::uint64_t size) override;
  int stat(int fd, struct stat& out) override;
  int stat_at(int at, char const* path, struct stat& out, int flags) override;
  int chmod(int fd, unsigned mode) override;
  int chown(int fd, std::uint32_t user, std::uint32_t group) override;
  int mkdir(char const* path, unsigned mode) override;
  int rename(int from_at, char const* from, int to_at, char const* to) override;
  int unlink(int at, char const* path, int flags) override;
  int symlink(char const* target, int at, char const* path) override;
  ssize_t readlink(char const* path, char* out, std::size_t size) override;
  int next_names(int fd, std::vector<std::string>& out) override;
  int free_bytes(char const* path, std::uint64_t& out) override;
  int lock(int fd, int operation) override;

private:
  using Number = std::uint64_t;  ///< of an inode; 0: none
  /// A change of a file's content: bytes at an offset, or a size.
  struct Write {
    bool cuts = false;
    std::uint64_t offset = 0;  ///< or the size
    std::string bytes;
  };
  /// A change of one name; both of a rename have the same op.
  struct Naming {
    std::uint64_t op = 0;
    std::string name;
    Number inode = 0;  ///< 0: the name goes
    bool renames = false;
  };
  struct Attributes {
    unsigned mode = 0;
    std::uint32_t user = 0, group = 0;
  };
  struct Inode {
    enum class Type { file, folder, link } type = Type::file;
    Attributes attributes, attributes_kept;
    std::uint64_t touched = 0;
    std::string now, kept;  ///< a file's content; a link's target
    std::uint64_t room = 0;
    std::vector<Write> writes;
    std::map<std::string, Number, std::less<>> entries, entries_kept;
    std::vector<Naming> namings;
  };
  struct Open {
    Number inode = 0;
    std::uint64_t offset = 0;
    std::vector<std::string> names;
    bool listed = false, writable = false, locked = false;
    std::string path;
  };
  /// Where a path leads: its folder, its last name, and what is there.
  struct Place {
    Number folder = 0, inode = 0;
    std::string name;
    int error = 0;
  };

  int refused(Call call, std::string const& path);
  void done(Call call, std::string const& path);
  [[nodiscard]] Inode const& at(Number number) const { return *inodes_.at(number); }
  Inode& edit(Number number);
  Number make(Inode inode);
  [[nodiscard]] Place walk(int at, std::string_view path, bool follow, int depth = 0) const;
  [[nodiscard]] Number find(std::string const& path) const;
  void name(Number folder, std::string const& name, Number inode, bool renames);
  [[nodiscard]] std::string path_of(int at, std::string_view path) const;
  static void apply(std::string& content, Write const& write);
  static void settle(Inode& inode, bool also_attributes);
  void fill(Number number, struct stat& out) const;
  int sync(int fd, bool also_attributes);
  static void survive(Inode& inode, Order order, Random& random);
  static std::string mixed(Inode const& inode, Random& random);
  [[nodiscard]] std::map<std::uint64_t, int> fates(Order order, Random& random) const;
  void drop_unreachable();

  std::map<Number, std::shared_ptr<Inode>> inodes_;
  std::map<int, Open> open_;
  Number next_ = 2;
  int next_fd_ = kFirstDescriptor;
  std::uint64_t op_ = 0;
};

}  // namespace fleet::crash
