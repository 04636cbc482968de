#pragma once

#include "core/base/fs.hpp"

#include <memory>
#include <mutex>
#include <string>

namespace fleet::agent {

/// A file system that remembers what kept the last changes from being made: a device whose disk fails can still tell its server. Thread-safe where the
/// one below is.
class WatchedFs final : public Fs {
public:
  explicit WatchedFs(Fs& below) : below_(below) {}
  /// `disk_full`, `disk_read_only`, `disk_failed`; empty: the last file was replaced without an error.
  [[nodiscard]] std::string trouble() const;

  Result<std::unique_ptr<File>> open(std::string const& path, Mode mode, unsigned permissions = 0644) override;
  Result<std::string> read(std::string const& path, std::uint64_t limit) override { return below_.read(path, limit); }
  Result<void> replace(std::string const& path, std::string_view content, unsigned permissions = 0644) override;
  Result<void> make_dirs(std::string const& path, unsigned permissions = 0755) override { return noted(below_.make_dirs(path, permissions)); }
  Result<void> make_private_dir(std::string const& path, Owner owner) override { return noted(below_.make_private_dir(path, owner)); }
  Result<void> narrow_dir(std::string const& path, unsigned permissions) override { return below_.narrow_dir(path, permissions); }
  Result<std::string> read_own(std::string const& path, std::uint64_t limit, Owner owner) override { return below_.read_own(path, limit, owner); }
  Result<void> rename(std::string const& from, std::string const& to) override { return noted(below_.rename(from, to)); }
  Result<void> symlink(std::string const& target, std::string const& link) override { return noted(below_.symlink(target, link)); }
  Result<std::string> read_link(std::string const& path) override { return below_.read_link(path); }
  Result<void> remove(std::string const& path) override { return noted(below_.remove(path)); }
  Result<void> remove_tree(std::string const& path) override { return noted(below_.remove_tree(path)); }
  Result<std::vector<std::string>> list(std::string const& path) override { return below_.list(path); }
  Result<FileInfo> info(std::string const& path) override { return below_.info(path); }
  Result<void> set_executable(std::string const& path, bool executable) override { return noted(below_.set_executable(path, executable)); }
  Result<void> sync_dir(std::string const& path) override { return noted(below_.sync_dir(path)); }
  Result<std::uint64_t> free_bytes(std::string const& path) override { return below_.free_bytes(path); }
  Result<std::unique_ptr<Lock>> lock(std::string const& path, unsigned permissions) override { return below_.lock(path, permissions); }

private:
  class WatchedFile;
  Result<void> noted(Result<void> result);
  void note(Error const& error);
  Fs& below_;
  mutable std::mutex mutex_;
  std::string trouble_;
};

}  // namespace fleet::agent
