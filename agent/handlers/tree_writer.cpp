#include "agent/handlers/tree_writer.hpp"

#include "core/wire/links.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kSyncEvery = 8 * 1024 * 1024;  ///< a sync cannot be interrupted: none has more than that to write
constexpr std::uint64_t kSpare = 1024 * 1024;          ///< of the disk, for others
constexpr std::size_t kEntriesMax = 10'000;            ///< files, folders and links of a slot, as of a release

/// `a/b/c` -> `a`, `a/b`.
template <class Each>
void each_parent(std::string_view name, Each each) {
  for (auto slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) each(name.substr(0, slash));
}

}  // namespace

TreeWriter::TreeWriter(Fs& fs, std::string dir, wire::Variant const& whole, std::atomic<bool> const& stop)
    : fs_(fs), dir_(std::move(dir)), stop_(stop), tree_(whole), own_files_(whole.files.size()) {
  auto const take = [this](std::string const& name) {
    files_.insert(name);
    each_parent(name, [this](std::string_view parent) { folders_.emplace(parent); });
  };
  for (auto const& file : whole.files) take(file.name);
  for (auto const& link : whole.links) take(link.name);
  for (auto const& folder : whole.folders) {
    folders_.insert(folder);
    each_parent(folder, [this](std::string_view parent) { folders_.emplace(parent); });
  }
}

void TreeWriter::begin(std::string const& archive, ArchiveLimits const& limits) {
  auto const slash = archive.rfind('/');
  archive_ = archive;
  prefix_ = slash == std::string::npos ? std::string() : archive.substr(0, slash + 1);
  limits_ = limits;
  bytes_ = 0;
}

/// The name in the slot, which is taken from now on.
Result<std::string> TreeWriter::place(std::string_view name, bool is_folder) {
  FLEET_CHECK(close());
  if (stop_) return Error{Kind::unavailable, "interrupted", archive_ + ": something else is wanted meanwhile"};
  FLEET_CHECK(check_entry_name(name));
  auto full = prefix_ + std::string(name);
  FLEET_CHECK(check_entry_name(full));
  auto const refuse = [&](std::string_view why) { return bad_archive(fmt::format("{}: '{}' {}", archive_, full, why)); };
  bool below_file = false;
  each_parent(full, [&](std::string_view parent) { below_file = below_file || files_.contains(parent); });
  if (below_file) return refuse("lies below a file");
  if (files_.contains(full)) return refuse("is there twice, or beside the archive");
  if (folders_.contains(full) && !is_folder) return refuse("is a folder, too");
  if (files_.size() + folders_.size() >= kEntriesMax) return refuse(fmt::format("is one more than the {} files, folders and links that a release may hold", kEntriesMax));
  each_parent(full, [this](std::string_view parent) { folders_.emplace(parent); });
  (is_folder ? folders_ : files_).insert(full);
  return full;
}

Result<void> TreeWriter::file(std::string_view name, bool executable) {
  FLEET_TRY(auto full, place(name, false));
  if (auto const slash = full.rfind('/'); slash != std::string::npos) FLEET_CHECK(fs_.make_dirs(dir_ + "/" + full.substr(0, slash)));
  FLEET_TRY(open_, fs_.open(dir_ + "/" + full, Fs::Mode::create_new));
  hash_ = crypto::Sha256();
  unsynced_ = 0;
  tree_.files.push_back({std::move(full), 0, {}, executable});
  return {};
}

Result<void> TreeWriter::data(BytesView piece) {
  auto& file = tree_.files.back();
  if (stop_) return Error{Kind::unavailable, "interrupted", archive_ + ": something else is wanted meanwhile"};
  if (piece.size() > limits_.bytes - bytes_) return bad_archive(fmt::format("{}: more than {} bytes come out of it", archive_, limits_.bytes));
  if (unsynced_ == 0) {
    FLEET_TRY(auto const free, fs_.free_bytes(dir_));
    if (free < kSpare + kSyncEvery)
      return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes are free at {}, {} has more", free, dir_, archive_), "free some space on the device"};
  }
  FLEET_CHECK(open_->write_at(file.size, piece));
  hash_.update(piece);
  file.size += piece.size();
  bytes_ += piece.size();
  unsynced_ += piece.size();
  if (unsynced_ < kSyncEvery) return {};
  unsynced_ = 0;
  return open_->sync();
}

Result<void> TreeWriter::close() {
  if (!open_) return {};
  tree_.files.back().sha256 = hash_.finish();
  open_.reset();
  return {};
}

Result<void> TreeWriter::folder(std::string_view name) {
  FLEET_CHECK(close());
  if (auto const full = prefix_ + std::string(name); folders_.contains(full)) return {};  // it may be told again, and after what is in it
  FLEET_TRY(auto full, place(name, true));
  FLEET_CHECK(fs_.make_dirs(dir_ + "/" + full));
  tree_.folders.push_back(std::move(full));
  return {};
}

Result<void> TreeWriter::link(std::string_view name, std::string_view target) {
  FLEET_TRY(auto full, place(name, false));
  tree_.links.push_back({std::move(full), std::string(target)});
  return {};
}

Result<wire::Variant> TreeWriter::finish() {
  FLEET_CHECK(close());
  auto const own_end = tree_.files.begin() + static_cast<std::ptrdiff_t>(own_files_);  // an archive in an archive is a file like others
  tree_.files.erase(std::remove_if(tree_.files.begin(), own_end, [](wire::ReleaseFile const& file) { return archive_format(file.name).has_value(); }), own_end);
  std::vector<FieldError> faults;
  wire::Links(tree_).check("", faults);
  if (!faults.empty()) return bad_archive(fmt::format("{}: link {}", archive_, faults.front().detail));
  return std::move(tree_);
}

}  // namespace fleet::agent
