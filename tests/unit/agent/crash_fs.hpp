#pragma once

#include "core/base/fs.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fleet::agent {

/// A file system in memory that tells what is written from what would survive a power cut: content is kept by `File::sync`, names by
/// `sync_dir` of their folder. Every changing call is a step; the n-th can be made to fail, or to be the last before the power goes. On a disk that
/// is full nothing is made and no file grows but into what was reserved for it.
class CrashFs final : public Fs {
public:
  enum class Loss { nothing, unsynced };  ///< kill -9, or the power

  CrashFs();
  /// From now on the n-th changing call (from 1) fails with `error`, once.
  void fail_at(int n, Error error);
  /// From now on the n-th changing call and everything after it fails, until `restart`.
  void cut_at(int n);
  /// What a restart finds.
  void restart(Loss loss);
  /// Others took every byte and every inode, or gave them back.
  void fill(bool full = true) { full_ = full; }
  /// From now on every changing call fails so; nothing: it works again.
  void refuse(std::optional<Error> error) { refused_ = std::move(error); }
  /// From now on every sync of this file fails.
  void break_sync(std::string path) { unsyncable_ = std::move(path); }
  [[nodiscard]] int steps() const { return steps_; }
  [[nodiscard]] bool was_hit() const { return hit_; }
  void set_free(std::uint64_t bytes) { free_ = bytes; }
  /// Content of a file as it is now, or nothing.
  [[nodiscard]] std::optional<std::string> text(std::string const& path);
  void put(std::string const& path, std::string content);

  Result<std::unique_ptr<File>> open(std::string const& path, Mode mode, unsigned permissions = 0644) override;
  Result<std::string> read(std::string const& path, std::uint64_t limit) override;
  Result<void> replace(std::string const& path, std::string_view content, unsigned permissions = 0644) override;
  Result<void> make_dirs(std::string const& path, unsigned permissions = 0755) override;
  Result<void> make_private_dir(std::string const& path, Owner) override { return make_dirs(path, 0700); }
  Result<void> narrow_dir(std::string const&, unsigned) override { return {}; }
  Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner) override { return read(path, limit); }
  Result<void> rename(std::string const& from, std::string const& to) override;
  Result<void> symlink(std::string const& target, std::string const& link) override;
  Result<std::string> read_link(std::string const& path) override;
  Result<void> remove(std::string const& path) override;
  Result<void> remove_tree(std::string const& path) override;
  Result<std::vector<std::string>> list(std::string const& path) override;
  Result<FileInfo> info(std::string const& path) override;
  Result<void> set_executable(std::string const& path, bool executable) override;
  Result<void> sync_dir(std::string const& path) override;
  Result<std::uint64_t> free_bytes(std::string const&) override { return free_; }
  Result<std::unique_ptr<Lock>> lock(std::string const& path, unsigned permissions) override { return system_fs().lock(path, permissions); }

private:
  friend class CrashFile;
  struct Node {
    FileInfo::Type type = FileInfo::Type::file;
    std::string now, kept;
    bool executable_now = false, executable_kept = false;
    std::size_t room = 0;  ///< bytes that it has on the disk
    std::map<std::string, std::shared_ptr<Node>> entries_now, entries_kept;
  };
  using NodePtr = std::shared_ptr<Node>;
  Result<void> step();
  [[nodiscard]] Result<void> alive() const;
  [[nodiscard]] Result<void> has_room() const;
  [[nodiscard]] NodePtr find(std::string const& path) const;
  Result<NodePtr> parent(std::string const& path) const;
  static void lose(Node& node, Loss loss);

  NodePtr root_;
  int steps_ = 0;
  int left_ = 0;
  std::optional<Error> planned_;
  bool cuts_ = false, dead_ = false, hit_ = false, full_ = false;
  std::string unsyncable_;
  std::optional<Error> refused_;
  std::uint64_t free_ = std::uint64_t{1} << 40;
};

inline Error absent(std::string const& path) { return {Kind::not_found, "not_found", path + ": no such file"}; }

class CrashFile final : public File {
public:
  CrashFile(CrashFs& fs, CrashFs::NodePtr node, std::string path) : fs_(fs), node_(std::move(node)), path_(std::move(path)) {}
  Result<void> write_at(std::uint64_t offset, BytesView bytes) override {
    FLEET_CHECK(fs_.step());
    auto& text = node_->now;
    auto const end = static_cast<std::size_t>(offset) + bytes.size();
    if (end > std::max(node_->room, text.size())) FLEET_CHECK(fs_.has_room());
    node_->room = std::max({node_->room, text.size(), end});
    if (text.size() < end) text.resize(end);
    text.replace(static_cast<std::size_t>(offset), bytes.size(), as_text(bytes));
    return {};
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    FLEET_CHECK(fs_.alive());
    auto const& text = node_->now;
    auto const from = std::min(static_cast<std::size_t>(offset), text.size());
    auto const n = std::min(out.size(), text.size() - from);
    std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(from), n, out.begin());
    return n;
  }
  Result<std::uint64_t> size() override { return node_->now.size(); }
  Result<void> truncate(std::uint64_t size) override {
    FLEET_CHECK(fs_.step());
    node_->now.resize(static_cast<std::size_t>(size));
    node_->room = std::min(node_->room, node_->now.size());
    return {};
  }
  Result<void> reserve(std::uint64_t bytes) override {
    FLEET_CHECK(fs_.alive());
    auto const end = node_->now.size() + static_cast<std::size_t>(bytes);
    if (end > node_->room) FLEET_CHECK(fs_.has_room());
    node_->room = std::max(node_->room, end);
    return {};
  }
  Result<void> sync() override {
    FLEET_CHECK(fs_.step());
    if (path_ == fs_.unsyncable_) return Error{Kind::io, "io_failed", path_ + ": input/output error"};
    node_->kept = node_->now;
    return {};
  }
  Result<void> sync_all() override {
    FLEET_CHECK(sync());
    node_->executable_kept = node_->executable_now;
    return {};
  }

private:
  CrashFs& fs_;
  CrashFs::NodePtr node_;
  std::string path_;
};

inline CrashFs::CrashFs() : root_(std::make_shared<Node>()) { root_->type = FileInfo::Type::directory; }

inline void CrashFs::fail_at(int n, Error error) {
  left_ = n;
  planned_ = std::move(error);
  cuts_ = hit_ = false;
  steps_ = 0;
}

inline void CrashFs::cut_at(int n) {
  fail_at(n, {Kind::io, "io_failed", "the power is gone"});
  cuts_ = true;
}

inline void CrashFs::restart(Loss loss) {
  planned_.reset();
  dead_ = false;
  lose(*root_, loss);
}

inline void CrashFs::lose(Node& node, Loss loss) {
  if (loss == Loss::nothing) return;
  node.now = node.kept;
  node.executable_now = node.executable_kept;
  node.entries_now = node.entries_kept;
  for (auto& [name, entry] : node.entries_now) lose(*entry, loss);
}

inline Result<void> CrashFs::alive() const {
  if (dead_) return Error{Kind::io, "io_failed", "the power is gone"};
  return {};
}

inline Result<void> CrashFs::step() {
  FLEET_CHECK(alive());
  if (refused_) return *refused_;
  ++steps_;
  if (!planned_ || --left_ != 0) return {};
  hit_ = true;
  dead_ = cuts_;
  return *std::exchange(planned_, std::nullopt);
}

inline Result<void> CrashFs::has_room() const {
  if (full_) return Error{Kind::unavailable, "disk_full", "no space left on device"};
  return {};
}

inline CrashFs::NodePtr CrashFs::find(std::string const& path) const {
  auto node = root_;
  for (std::size_t from = 1; node && from < path.size();) {
    auto const slash = std::min(path.find('/', from), path.size());
    auto const entry = node->entries_now.find(path.substr(from, slash - from));
    node = entry == node->entries_now.end() ? nullptr : entry->second;
    from = slash + 1;
  }
  return node;
}

inline std::string folder_of(std::string const& path) { return path.substr(0, path.find_last_of('/')); }
inline std::string name_of(std::string const& path) { return path.substr(path.find_last_of('/') + 1); }

inline Result<CrashFs::NodePtr> CrashFs::parent(std::string const& path) const {
  auto const node = find(folder_of(path));
  if (!node || node->type != FileInfo::Type::directory) return absent(folder_of(path));
  return node;
}

inline std::optional<std::string> CrashFs::text(std::string const& path) {
  auto const node = find(path);
  return node && node->type == FileInfo::Type::file ? std::optional(node->now) : std::nullopt;
}

inline void CrashFs::put(std::string const& path, std::string content) {
  auto node = root_;
  for (std::size_t from = 1;;) {
    auto const slash = path.find('/', from);
    auto const name = path.substr(from, slash == std::string::npos ? slash : slash - from);
    auto& entry = node->entries_now[name];
    if (!entry) entry = std::make_shared<Node>();
    node->entries_kept[name] = entry;
    node = entry;
    if (slash == std::string::npos) break;
    node->type = FileInfo::Type::directory;
    from = slash + 1;
  }
  node->now = node->kept = std::move(content);
}

inline Result<std::unique_ptr<File>> CrashFs::open(std::string const& path, Mode mode, unsigned permissions) {
  FLEET_TRY(auto const folder, parent(path));
  FLEET_CHECK(alive());
  auto node = find(path);
  if (node && node->type != FileInfo::Type::file) return Error{Kind::io, "io_failed", path + ": not a file"};
  if (node && mode != Mode::read && refused_ && refused_->code == "read_only") return *refused_;
  if (node && mode == Mode::create_new) return Error{Kind::conflict, "file_exists", path + ": exists"};
  if (!node && (mode == Mode::read || mode == Mode::write)) return absent(path);
  if (!node) {
    FLEET_CHECK(step());
    FLEET_CHECK(has_room());
    node = std::make_shared<Node>();
    node->executable_now = node->executable_kept = (permissions & 0100U) != 0;
    folder->entries_now[name_of(path)] = node;
  }
  return std::unique_ptr<File>(std::make_unique<CrashFile>(*this, node, path));
}

inline Result<std::string> CrashFs::read(std::string const& path, std::uint64_t limit) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node) return absent(path);
  if (node->type != FileInfo::Type::file) return Error{Kind::io, "io_failed", path + ": not a file"};
  if (node->now.size() > limit) return Error{Kind::too_large, "file_too_large", path + ": too large"};
  return node->now;
}

inline Result<void> CrashFs::replace(std::string const& path, std::string_view content, unsigned permissions) {
  auto const temporary = path + ".new";
  FLEET_CHECK(remove_tree(temporary));
  auto const replaced = [&]() -> Result<void> {
    FLEET_TRY(auto const file, open(temporary, Mode::create_new, permissions));
    FLEET_CHECK(file->write_at(0, as_bytes(content)));
    FLEET_CHECK(file->sync());
    return rename(temporary, path);
  }();
  if (replaced) return sync_dir(folder_of(path));
  static_cast<void>(remove_tree(temporary));
  return replaced;
}

inline Result<void> CrashFs::make_dirs(std::string const& path, unsigned) {
  FLEET_CHECK(alive());
  auto node = root_;
  for (std::size_t from = 1; from < path.size();) {
    auto const slash = std::min(path.find('/', from), path.size());
    auto const name = path.substr(from, slash - from);
    if (!node->entries_now.contains(name)) {
      FLEET_CHECK(step());
      FLEET_CHECK(has_room());
      node->entries_now[name] = std::make_shared<Node>();
      node->entries_now[name]->type = FileInfo::Type::directory;
    }
    node = node->entries_now[name];
    if (node->type != FileInfo::Type::directory) return absent(path.substr(0, slash));
    from = slash + 1;
  }
  return {};
}

inline Result<void> CrashFs::rename(std::string const& from, std::string const& to) {
  FLEET_TRY(auto const source, parent(from));
  FLEET_TRY(auto const target, parent(to));
  auto const node = find(from);
  if (!node) return absent(from);
  auto const there = find(to);
  if (there && there->type == FileInfo::Type::directory && !there->entries_now.empty()) return Error{Kind::conflict, "file_exists", to + ": not empty"};
  if (there && there->type == FileInfo::Type::directory && node->type != there->type) return Error{Kind::io, "io_failed", to + ": is a folder"};
  FLEET_CHECK(step());
  source->entries_now.erase(name_of(from));
  target->entries_now[name_of(to)] = node;
  return {};
}

inline Result<void> CrashFs::symlink(std::string const& target, std::string const& link) {
  FLEET_TRY(auto const folder, parent(link));
  if (find(link)) return Error{Kind::conflict, "file_exists", link + ": exists"};
  FLEET_CHECK(step());
  FLEET_CHECK(has_room());
  auto node = std::make_shared<Node>();
  node->type = FileInfo::Type::link;
  node->now = node->kept = target;
  folder->entries_now[name_of(link)] = node;
  return {};
}

inline Result<std::string> CrashFs::read_link(std::string const& path) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node || node->type != FileInfo::Type::link) return absent(path);
  return node->now;
}

inline Result<void> CrashFs::remove(std::string const& path) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node) return absent(path);
  if (!node->entries_now.empty()) return Error{Kind::conflict, "file_exists", path + ": not empty"};
  FLEET_TRY(auto const folder, parent(path));
  FLEET_CHECK(step());
  folder->entries_now.erase(name_of(path));
  return {};
}

inline Result<void> CrashFs::remove_tree(std::string const& path) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node) return {};
  for (auto const& [name, entry] : std::map(node->entries_now)) FLEET_CHECK(remove_tree(path + "/" + name));
  return remove(path);
}

inline Result<std::vector<std::string>> CrashFs::list(std::string const& path) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node || node->type != FileInfo::Type::directory) return absent(path);
  std::vector<std::string> names;
  for (auto const& [name, entry] : node->entries_now) names.push_back(name);
  return names;
}

inline Result<FileInfo> CrashFs::info(std::string const& path) {
  FLEET_CHECK(alive());
  auto const node = find(path);
  if (!node) return absent(path);
  auto const content = static_cast<std::int64_t>(std::hash<std::string>{}(node->now) >> 1U);
  return FileInfo{node->type, node->now.size(), node->executable_now, {1, 1, content}};
}

inline Result<void> CrashFs::set_executable(std::string const& path, bool executable) {
  auto const node = find(path);
  if (!node) return absent(path);
  FLEET_CHECK(step());
  node->executable_now = executable;
  return {};
}

inline Result<void> CrashFs::sync_dir(std::string const& path) {
  auto const node = find(path);
  if (!node) return absent(path);
  FLEET_CHECK(step());
  node->entries_kept = node->entries_now;
  return {};
}

}  // namespace fleet::agent
