#include "tests/crash/disk.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace fleet::crash {
namespace {

constexpr std::uint64_t kTop = 1;
constexpr int kLinksMax = 16;
constexpr std::uint64_t kFree = std::uint64_t{1} << 40;
constexpr std::array<std::string_view, 19> kCalls{"open", "create", "read", "write", "truncate", "fdatasync", "fsync", "fallocate", "stat", "chmod",
                                                  "chown", "mkdir", "rename", "unlink", "symlink", "readlink", "getdents", "statvfs", "flock"};
constexpr std::array<std::string_view, kOrders.size()> kOrderNames{"lost", "kept", "names", "sizes", "content", "journal", "mixed"};

}  // namespace

std::string_view to_string(Call call) { return kCalls[static_cast<std::size_t>(call)]; }
std::string_view to_string(Order order) { return kOrderNames[static_cast<std::size_t>(order)]; }
std::optional<Order> order_of(std::string_view name) {
  for (auto const order : kOrders)
    if (to_string(order) == name) return order;
  return std::nullopt;
}

bool changes(Call call) {
  switch (call) {
    case Call::create:
    case Call::write:
    case Call::truncate:
    case Call::datasync:
    case Call::sync:
    case Call::chmod:
    case Call::chown:
    case Call::mkdir:
    case Call::rename:
    case Call::unlink:
    case Call::symlink: return true;
    case Call::open:
    case Call::read:
    case Call::allocate:
    case Call::stat:
    case Call::readlink:
    case Call::list:
    case Call::statvfs:
    case Call::lock: return false;
  }
  return false;
}

Disk::Disk() {
  auto top = std::make_shared<Inode>();
  top->type = Inode::Type::folder;
  top->attributes = top->attributes_kept = {0755, ::geteuid(), ::getegid()};
  inodes_[kTop] = std::move(top);
}

Disk::Disk(Disk const& other) : full_errno(other.full_errno), read_only(other.read_only), inodes_(other.inodes_), next_(other.next_), op_(other.op_) {}
Disk& Disk::operator=(Disk const& other) {
  inodes_ = other.inodes_;
  next_ = other.next_;
  op_ = other.op_;
  full_errno = other.full_errno;
  read_only = other.read_only;
  open_.clear();
  return *this;
}

int Disk::refused(Call call, std::string const& path) {
  auto const number = refuse ? refuse(call, path) : 0;
  return number == 0 && read_only && crash::changes(call) ? EROFS : number;
}
void Disk::done(Call call, std::string const& path) {
  ++op_;
  if (changed) changed(call, path);
}

/// Inodes are shared with copies of this disk until they change.
Disk::Inode& Disk::edit(Number number) {
  auto& inode = inodes_.at(number);
  if (inode.use_count() > 1) inode = std::make_shared<Inode>(*inode);
  inode->touched = op_ + 1;
  return *inode;
}

Disk::Number Disk::make(Inode inode) {
  auto const number = next_++;
  inode.touched = op_ + 1;
  inode.attributes.user = ::geteuid();
  inode.attributes.group = ::getegid();
  inode.attributes_kept = inode.attributes;
  inodes_[number] = std::make_shared<Inode>(std::move(inode));
  return number;
}

Disk::Place Disk::walk(int from, std::string_view path, bool follow, int depth) const {
  if (path.empty()) return {0, 0, {}, ENOENT};
  auto here = kTop;
  if (path.front() != '/') {
    auto const found = open_.find(from);
    if (found == open_.end()) return {0, 0, {}, EBADF};
    here = found->second.inode;
  }
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < path.size();) {
    auto const slash = std::min(path.find('/', begin), path.size());
    if (auto const part = path.substr(begin, slash - begin); !part.empty() && part != ".") parts.emplace_back(part);
    begin = slash + 1;
  }
  if (parts.empty()) return {here, here, ".", 0};
  std::string so_far = path.front() == '/' ? "" : ".";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    bool const last = i + 1 == parts.size();
    auto const& folder = at(here);
    if (folder.type != Inode::Type::folder) return {0, 0, {}, ENOTDIR};
    if (parts[i].size() > 255) return {0, 0, {}, ENAMETOOLONG};
    auto const found = folder.entries.find(parts[i]);
    auto const next = found == folder.entries.end() ? 0 : found->second;
    if (next == 0 && !last) return {0, 0, {}, ENOENT};
    if (next != 0 && at(next).type == Inode::Type::link && (!last || follow)) {
      if (depth >= kLinksMax) return {0, 0, {}, ELOOP};
      auto target = at(next).now;
      for (std::size_t k = i + 1; k < parts.size(); ++k) target += "/" + parts[k];
      if (target.starts_with('/')) return walk(from, target, follow, depth + 1);
      return walk(from, so_far + "/" + target, follow, depth + 1);  // below the folder that the link is in
    }
    if (last) return {here, next, parts[i], 0};
    here = next;
    so_far += "/" + parts[i];
  }
  return {0, 0, {}, ENOENT};
}

Disk::Number Disk::find(std::string const& path) const {
  auto const place = walk(AT_FDCWD, path, true);
  return place.error != 0 ? 0 : place.inode;
}

std::string Disk::path_of(int from, std::string_view path) const {
  auto const found = open_.find(from);
  if (path.starts_with('/') || found == open_.end()) return std::string(path);
  return path == "." ? found->second.path : found->second.path + "/" + std::string(path);
}

void Disk::name(Number folder, std::string const& name, Number inode, bool renames) {
  auto& in = edit(folder);
  if (inode == 0) in.entries.erase(name);
  else in.entries[name] = inode;
  in.namings.push_back({op_ + 1, name, inode, renames});
}

int Disk::open(int from, char const* path, int flags, unsigned mode) {
  auto const full = path_of(from, path);
  auto const place = walk(from, path, (flags & O_NOFOLLOW) == 0);
  if (place.error != 0) return -place.error;
  bool const creates = place.inode == 0 && (flags & O_CREAT) != 0;
  if (auto const number = refused(creates ? Call::create : Call::open, full); number > 0) return -number;
  bool const writes = (flags & O_ACCMODE) != O_RDONLY;
  auto inode = place.inode;
  if (inode == 0 && !creates) return -ENOENT;
  if (inode != 0 && (flags & O_EXCL) != 0) return -EEXIST;
  if (creates) {
    if (full_errno != 0) return -full_errno;
    Inode made;
    made.attributes.mode = mode;
    inode = make(std::move(made));
    name(place.folder, place.name, inode, false);
  }
  auto const type = at(inode).type;
  if (type == Inode::Type::link) return (flags & O_DIRECTORY) != 0 ? -ENOTDIR : -ELOOP;
  if ((flags & O_DIRECTORY) != 0 && type != Inode::Type::folder) return -ENOTDIR;
  if (writes && type == Inode::Type::folder) return -EISDIR;
  if (writes && read_only) return -EROFS;
  auto const fd = next_fd_++;
  open_[fd] = Open{inode, 0, {}, false, writes, false, full};
  if (creates) done(Call::create, full);
  return fd;
}

void Disk::close(int fd) { open_.erase(fd); }

ssize_t Disk::read(int fd, void* out, std::size_t size) {
  auto& open = open_.at(fd);
  auto const n = pread(fd, out, size, open.offset);
  if (n > 0) open.offset += static_cast<std::uint64_t>(n);
  return n;
}

ssize_t Disk::pread(int fd, void* out, std::size_t size, std::uint64_t offset) {
  auto const& open = open_.at(fd);
  if (auto const number = refused(Call::read, open.path); number > 0) return -number;
  auto const& inode = at(open.inode);
  if (inode.type == Inode::Type::folder) return -EISDIR;
  auto const from = std::min<std::uint64_t>(offset, inode.now.size());
  auto const n = std::min<std::size_t>(size, inode.now.size() - static_cast<std::size_t>(from));
  std::memcpy(out, inode.now.data() + from, n);
  return static_cast<ssize_t>(n);
}

ssize_t Disk::pwrite(int fd, void const* bytes, std::size_t size, std::uint64_t offset) {
  auto const& open = open_.at(fd);
  if (!open.writable) return -EBADF;
  if (size == 0) return 0;
  auto const number = refused(Call::write, open.path);
  if (number > 0) return -number;
  if (number == kShort && size > 1) size /= 2;
  auto const end = offset + size;
  if (full_errno != 0 && end > std::max<std::uint64_t>(at(open.inode).room, at(open.inode).now.size())) return -full_errno;
  auto& inode = edit(open.inode);
  inode.room = std::max<std::uint64_t>(inode.room, end);
  Write write{false, offset, std::string(static_cast<char const*>(bytes), size)};
  apply(inode.now, write);
  inode.writes.push_back(std::move(write));
  done(Call::write, open.path);
  return static_cast<ssize_t>(size);
}

int Disk::truncate(int fd, std::uint64_t size) {
  auto const& open = open_.at(fd);
  if (!open.writable) return -EINVAL;
  if (auto const number = refused(Call::truncate, open.path); number > 0) return -number;
  auto& inode = edit(open.inode);
  Write write{true, size, {}};
  apply(inode.now, write);
  inode.room = size;
  inode.writes.push_back(std::move(write));
  done(Call::truncate, open.path);
  return 0;
}

int Disk::datasync(int fd) { return sync(fd, false); }
int Disk::sync(int fd) { return sync(fd, true); }

int Disk::sync(int fd, bool also_attributes) {
  auto const& open = open_.at(fd);
  auto const call = also_attributes ? Call::sync : Call::datasync;
  auto const number = refused(call, open.path);
  if (number > 0 && number != EINTR) {
    // The kernel forgets what it could not write; it is read back, and is on no disk.
    edit(open.inode).writes.clear();
    return -number;
  }
  if (number > 0) return -number;
  if (number != kForget) settle(edit(open.inode), also_attributes);
  done(call, open.path);
  return 0;
}

/// What a failed sync lost is seen now.
void Disk::drop_cached(int fd) {
  auto const& inode = at(open_.at(fd).inode);
  if (inode.writes.empty() && inode.now != inode.kept) edit(open_.at(fd).inode).now = inode.kept;
}

int Disk::allocate(int fd, std::uint64_t offset, std::uint64_t size) {
  auto const& open = open_.at(fd);
  if (auto const number = refused(Call::allocate, open.path); number > 0) return -number;
  if (full_errno != 0 && offset + size > at(open.inode).room) return -full_errno;
  auto& inode = edit(open.inode);
  inode.room = std::max(inode.room, offset + size);
  return 0;
}

void Disk::fill(Number number, struct stat& out) const {
  auto const& inode = at(number);
  out = {};
  out.st_dev = 1;
  out.st_ino = number;
  out.st_nlink = 1;
  out.st_uid = inode.attributes.user;
  out.st_gid = inode.attributes.group;
  out.st_size = static_cast<off_t>(inode.now.size());
  out.st_ctim.tv_sec = static_cast<time_t>(inode.touched);
  auto const type = inode.type == Inode::Type::file ? S_IFREG : inode.type == Inode::Type::folder ? S_IFDIR : S_IFLNK;
  out.st_mode = static_cast<mode_t>(type) | inode.attributes.mode;
}

int Disk::stat(int fd, struct stat& out) {
  auto const& open = open_.at(fd);
  if (auto const number = refused(Call::stat, open.path); number > 0) return -number;
  fill(open.inode, out);
  return 0;
}

int Disk::stat_at(int from, char const* path, struct stat& out, int flags) {
  if (auto const number = refused(Call::stat, path_of(from, path)); number > 0) return -number;
  auto const place = walk(from, path, (flags & AT_SYMLINK_NOFOLLOW) == 0);
  if (place.error != 0) return -place.error;
  if (place.inode == 0) return -ENOENT;
  fill(place.inode, out);
  return 0;
}

int Disk::chmod(int fd, unsigned mode) {
  auto const& open = open_.at(fd);
  if (auto const number = refused(Call::chmod, open.path); number > 0) return -number;
  edit(open.inode).attributes.mode = mode;
  done(Call::chmod, open.path);
  return 0;
}

int Disk::chown(int fd, std::uint32_t user, std::uint32_t group) {
  auto const& open = open_.at(fd);
  if (auto const number = refused(Call::chown, open.path); number > 0) return -number;
  edit(open.inode).attributes.user = user;
  edit(open.inode).attributes.group = group;
  done(Call::chown, open.path);
  return 0;
}

int Disk::mkdir(char const* path, unsigned mode) {
  auto const place = walk(AT_FDCWD, path, false);
  if (place.error != 0) return -place.error;
  if (place.inode != 0) return -EEXIST;
  if (auto const number = refused(Call::mkdir, path); number > 0) return -number;
  if (full_errno != 0) return -full_errno;
  Inode made;
  made.type = Inode::Type::folder;
  made.attributes.mode = mode;
  name(place.folder, place.name, make(std::move(made)), false);
  done(Call::mkdir, path);
  return 0;
}

int Disk::rename(int from_at, char const* from, int to_at, char const* to) {
  auto const source = walk(from_at, from, false), target = walk(to_at, to, false);
  if (source.error != 0 || target.error != 0) return source.error != 0 ? -source.error : -target.error;
  if (auto const number = refused(Call::rename, path_of(to_at, to)); number > 0) return -number;
  if (source.inode == 0) return -ENOENT;
  if (source.inode == target.inode) return 0;
  bool const folder = at(source.inode).type == Inode::Type::folder;
  if (target.inode != 0) {
    bool const over_folder = at(target.inode).type == Inode::Type::folder;
    if (folder && !over_folder) return -ENOTDIR;
    if (!folder && over_folder) return -EISDIR;
    if (over_folder && !at(target.inode).entries.empty()) return -ENOTEMPTY;
  }
  name(source.folder, source.name, 0, true);
  name(target.folder, target.name, source.inode, true);
  done(Call::rename, path_of(to_at, to));
  return 0;
}

int Disk::unlink(int from, char const* path, int flags) {
  auto const place = walk(from, path, false);
  if (place.error != 0) return -place.error;
  if (place.inode == 0) return -ENOENT;
  if (auto const number = refused(Call::unlink, path_of(from, path)); number > 0) return -number;
  bool const folder = at(place.inode).type == Inode::Type::folder;
  if (folder && (flags & AT_REMOVEDIR) == 0) return -EISDIR;
  if (!folder && (flags & AT_REMOVEDIR) != 0) return -ENOTDIR;
  if (folder && !at(place.inode).entries.empty()) return -ENOTEMPTY;
  name(place.folder, place.name, 0, false);
  done(Call::unlink, path_of(from, path));
  return 0;
}

int Disk::symlink(char const* target, int from, char const* path) {
  auto const place = walk(from, path, false);
  if (place.error != 0) return -place.error;
  if (place.inode != 0) return -EEXIST;
  if (auto const number = refused(Call::symlink, path_of(from, path)); number > 0) return -number;
  if (full_errno != 0) return -full_errno;
  Inode made;
  made.type = Inode::Type::link;
  made.now = made.kept = target;
  made.attributes.mode = 0777;
  name(place.folder, place.name, make(std::move(made)), false);
  done(Call::symlink, path_of(from, path));
  return 0;
}

ssize_t Disk::readlink(char const* path, char* out, std::size_t size) {
  auto const place = walk(AT_FDCWD, path, false);
  if (place.error != 0) return -place.error;
  if (place.inode == 0) return -ENOENT;
  if (auto const number = refused(Call::readlink, path); number > 0) return -number;
  if (at(place.inode).type != Inode::Type::link) return -EINVAL;
  auto const& text = at(place.inode).now;
  auto const n = std::min(size, text.size());
  std::memcpy(out, text.data(), n);
  return static_cast<ssize_t>(n);
}

int Disk::next_names(int fd, std::vector<std::string>& out) {
  auto& open = open_.at(fd);
  if (auto const number = refused(Call::list, open.path); number > 0) return -number;
  if (std::exchange(open.listed, true)) return 0;
  out.insert(out.end(), {".", ".."});
  for (auto const& [name, inode] : at(open.inode).entries) out.push_back(name);
  return static_cast<int>(at(open.inode).entries.size()) + 2;
}

int Disk::free_bytes(char const* path, std::uint64_t& out) {
  if (auto const number = refused(Call::statvfs, path); number > 0) return -number;
  out = full_errno != 0 ? 0 : kFree;
  return find(path) == 0 ? -ENOENT : 0;
}

int Disk::lock(int fd, int) {
  auto& open = open_.at(fd);
  if (auto const number = refused(Call::lock, open.path); number > 0) return -number;
  bool const held = std::any_of(open_.begin(), open_.end(), [&](auto const& one) { return one.first != fd && one.second.locked && one.second.inode == open.inode; });
  if (held) return -EWOULDBLOCK;
  open.locked = true;
  return 0;
}

void Disk::put(std::string const& path, std::string content, unsigned mode) {
  make_dirs(path.substr(0, path.find_last_of('/')));
  auto const place = walk(AT_FDCWD, path, true);
  auto number = place.inode;
  if (number == 0) {
    number = make({});
    edit(place.folder).entries[place.name] = edit(place.folder).entries_kept[place.name] = number;
  }
  auto& inode = edit(number);
  inode.now = inode.kept = std::move(content);
  inode.writes.clear();
  inode.attributes.mode = inode.attributes_kept.mode = mode;
}

void Disk::put_link(std::string const& path, std::string target) {
  put(path, std::move(target), 0777);
  edit(find(path)).type = Inode::Type::link;
}

void Disk::make_dirs(std::string const& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    auto const part = path.substr(0, slash);
    auto const place = walk(AT_FDCWD, part, true);
    if (place.inode == 0) {
      Inode made;
      made.type = Inode::Type::folder;
      made.attributes.mode = 0755;
      auto const number = make(std::move(made));
      edit(place.folder).entries[place.name] = edit(place.folder).entries_kept[place.name] = number;
    }
    if (slash == std::string::npos) return;
  }
}

std::optional<std::string> Disk::text(std::string const& path) const {
  auto const number = find(path);
  return number != 0 && at(number).type == Inode::Type::file ? std::optional(at(number).now) : std::nullopt;
}

std::optional<std::string> Disk::target(std::string const& link) const {
  auto const place = walk(AT_FDCWD, link, false);
  bool const is_link = place.error == 0 && place.inode != 0 && at(place.inode).type == Inode::Type::link;
  return is_link ? std::optional(at(place.inode).now) : std::nullopt;
}

bool Disk::is_executable(std::string const& path) const {
  auto const number = find(path);
  return number != 0 && (at(number).attributes.mode & S_IXUSR) != 0;
}

std::vector<std::string> Disk::names(std::string const& folder) const {
  std::vector<std::string> out;
  if (auto const number = find(folder); number != 0)
    for (auto const& [name, inode] : at(number).entries) out.push_back(name);
  return out;
}

std::uint32_t Disk::owner(std::string const& path) const {
  auto const number = find(path);
  return number == 0 ? 0 : at(number).attributes.user;
}

void Disk::give(std::string const& path, std::uint32_t user) {
  auto& inode = edit(find(path));
  inode.attributes.user = inode.attributes_kept.user = user;
}

// ---- what survives

void Disk::apply(std::string& content, Write const& write) {
  auto const offset = static_cast<std::size_t>(write.offset);
  if (write.cuts) return content.resize(offset);
  if (content.size() < offset + write.bytes.size()) content.resize(offset + write.bytes.size());
  content.replace(offset, write.bytes.size(), write.bytes);
}

void Disk::settle(Inode& inode, bool also_attributes) {
  for (auto const& write : inode.writes) apply(inode.kept, write);
  inode.writes.clear();
  if (also_attributes) inode.attributes_kept = inode.attributes;
  if (inode.type != Inode::Type::folder) return;
  inode.entries_kept = inode.entries;
  inode.namings.clear();
}

/// One of its versions for each sector, and for its size.
std::string Disk::mixed(Inode const& inode, Random& random) {
  std::vector<std::string> versions{inode.kept};
  for (auto const& write : inode.writes) {
    versions.push_back(versions.back());
    apply(versions.back(), write);
  }
  auto const pick = [&]() -> std::string const& { return versions[random.next() % versions.size()]; };
  std::string out(pick().size(), '\0');
  for (std::size_t from = 0; from < out.size(); from += kSector) {
    auto const& version = pick();
    auto const n = std::min(kSector, out.size() - from);
    if (version.size() > from) out.replace(from, std::min(n, version.size() - from), version, from, std::min(n, version.size() - from));
  }
  return out;
}

void Disk::survive(Inode& inode, Order order, Random& random) {
  auto const coin = [&] { return random.next() % 2 == 0; };
  auto const zeros = [&] {
    auto out = inode.kept;
    out.resize(inode.now.size());
    return out;
  };
  if (inode.type == Inode::Type::file && !inode.writes.empty()) {
    switch (order) {
      case Order::lost:
      case Order::names: inode.now = inode.kept; break;
      case Order::kept:
      case Order::content: break;
      case Order::sizes: inode.now = zeros(); break;
      case Order::journal: inode.now = coin() ? inode.kept : coin() ? inode.now : zeros(); break;
      case Order::mixed: inode.now = mixed(inode, random); break;
    }
  } else if (inode.type == Inode::Type::file && order != Order::kept) {
    inode.now = inode.kept;  // what a failed sync lost
  }
  bool const forgets = order != Order::kept && (order == Order::mixed || order == Order::journal ? coin() : true);
  if (forgets) inode.attributes = inode.attributes_kept;
  inode.attributes_kept = inode.attributes;
  inode.kept = inode.now;
  inode.writes.clear();
  inode.room = inode.now.size();
}

/// Of each change of names that is not kept: 0 it is lost, 1 it happened, 2 of a rename, both names are there.
std::map<std::uint64_t, int> Disk::fates(Order order, Random& random) const {
  std::map<std::uint64_t, int> out;
  for (auto const& [number, inode] : inodes_)
    for (auto const& naming : inode->namings) out[naming.op] = 0;
  auto const instant = out.empty() ? 0 : random.next() % (out.size() + 1);
  auto const odds = 1 + random.next() % 3;
  std::size_t at = 0;
  for (auto& [op, fate] : out) {
    switch (order) {
      case Order::lost:
      case Order::content: fate = 0; break;
      case Order::kept:
      case Order::names:
      case Order::sizes: fate = 1; break;
      case Order::journal: fate = at < instant ? 1 : 0; break;
      case Order::mixed: fate = random.next() % 4 >= odds ? 0 : random.next() % 4 == 0 ? 2 : 1; break;
    }
    ++at;
  }
  return out;
}

Disk Disk::after_cut(Order order, Random& random) const {
  Disk out(*this);
  auto const fates = this->fates(order, random);
  for (auto& [number, shared] : out.inodes_) {
    bool const differs = !shared->writes.empty() || !shared->namings.empty() || shared->now != shared->kept || shared->room != shared->now.size() ||
                         shared->attributes.mode != shared->attributes_kept.mode || shared->attributes.user != shared->attributes_kept.user;
    if (!differs) continue;
    shared = std::make_shared<Inode>(*shared);
    auto& inode = *shared;
    survive(inode, order, random);
    inode.entries = inode.entries_kept;
    for (auto const& naming : inode.namings) {
      auto const fate = fates.at(naming.op);
      if (fate == 0 || (fate == 2 && naming.renames && naming.inode == 0)) continue;
      if (naming.inode == 0) inode.entries.erase(naming.name);
      else inode.entries[naming.name] = naming.inode;
    }
    inode.entries_kept = inode.entries;
    inode.namings.clear();
  }
  out.drop_unreachable();
  return out;
}

void Disk::drop_unreachable() {
  std::set<Number> seen;
  std::vector<Number> next{kTop};
  while (!next.empty()) {
    auto const number = next.back();
    next.pop_back();
    if (!seen.insert(number).second) continue;
    for (auto const& [name, inode] : at(number).entries) next.push_back(inode);
  }
  std::erase_if(inodes_, [&](auto const& one) { return !seen.contains(one.first); });
}

}  // namespace fleet::crash
