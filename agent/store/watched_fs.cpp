#include "agent/store/watched_fs.hpp"

#include <array>

namespace fleet::agent {
namespace {

struct Trouble {
  std::string_view code, name;
};
constexpr auto kTroubles = std::to_array<Trouble>({{"disk_full", "disk_full"}, {"read_only", "disk_read_only"}, {"io_error", "disk_failed"}});

}  // namespace

class WatchedFs::WatchedFile final : public File {
public:
  WatchedFile(WatchedFs& fs, std::unique_ptr<File> below) : fs_(fs), below_(std::move(below)) {}
  Result<void> write_at(std::uint64_t offset, BytesView bytes) override { return fs_.noted(below_->write_at(offset, bytes)); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override { return below_->read_at(offset, out); }
  Result<std::uint64_t> size() override { return below_->size(); }
  Result<void> truncate(std::uint64_t size) override { return fs_.noted(below_->truncate(size)); }
  Result<void> sync() override { return fs_.noted(below_->sync()); }
  Result<void> sync_all() override { return fs_.noted(below_->sync_all()); }
  void drop_cached() override { below_->drop_cached(); }
  Result<void> reserve(std::uint64_t bytes) override { return below_->reserve(bytes); }

private:
  WatchedFs& fs_;
  std::unique_ptr<File> below_;
};

std::string WatchedFs::trouble() const {
  std::lock_guard const lock(mutex_);
  return trouble_;
}

Result<std::unique_ptr<File>> WatchedFs::open(std::string const& path, Mode mode, unsigned permissions) {
  auto file = below_.open(path, mode, permissions);
  if (!file && mode != Mode::read) note(file.error());
  if (!file) return file.error();
  return std::unique_ptr<File>(std::make_unique<WatchedFile>(*this, *std::move(file)));
}

/// It takes room, a name and a sync: where that goes well the disk does.
Result<void> WatchedFs::replace(std::string const& path, std::string_view content, unsigned permissions) {
  auto replaced = noted(below_.replace(path, content, permissions));
  if (!replaced) return replaced;
  std::lock_guard const lock(mutex_);
  trouble_.clear();
  return replaced;
}

Result<void> WatchedFs::noted(Result<void> result) {
  if (!result) note(result.error());
  return result;
}

void WatchedFs::note(Error const& error) {
  for (auto const& [code, name] : kTroubles) {
    if (error.code != code) continue;
    std::lock_guard const lock(mutex_);
    trouble_ = name;
  }
}

}  // namespace fleet::agent
