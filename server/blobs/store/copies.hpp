#pragma once

#include "server/blobs/store/blob_store.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>

namespace fleet::blobs {

/// Copies of blobs on this machine's disk, of a store that is elsewhere: so many bytes, the longest unused go first. What is in use stays, also beyond the bound. Whoever wants
/// one that is being brought waits for it. Thread-safe.
class Copies {
public:
  /// Brings the bytes of `name` to `path`, checked and synced.
  using Bring = std::function<Result<void>(Name const& name, std::string const& path)>;

  /// @param dir  its own; what lies there from before is taken over by `settle`
  Copies(Fs& fs, std::string dir, std::uint64_t bytes_max) : fs_(fs), dir_(std::move(dir)), bytes_max_(bytes_max) {}
  /// Once, before anything else: whole files are known by their names, all else goes.
  Result<void> settle();

  [[nodiscard]] std::optional<LocalFile> find(Name const& name);
  /// @errors those of `bring`, unavailable (`disk_full`)
  Result<LocalFile> fetch(Name const& name, Bring const& bring);
  /// A checked file becomes a copy, where it has room; else it goes.
  Result<void> adopt(Name const& name, std::string const& path);
  void forget(Name const& name);
  /// What was in use beyond the bound, and is no longer, goes. Removes files: not on an io thread.
  void trim();
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] bool would_fit(std::uint64_t size) const { return size <= bytes_max_; }

  struct Figures {
    std::uint64_t files = 0, bytes = 0, found = 0, fetched = 0;
  };
  [[nodiscard]] Figures figures() const;

private:
  struct Copy {
    std::uint64_t size = 0, used = 0;   ///< when last, counted
    std::shared_ptr<void const> pin = std::make_shared<int>(0);  ///< in use while somebody else has it, too
    bool ready = false;
  };
  [[nodiscard]] std::string path_of(std::string const& key) const { return dir_ + "/" + key; }
  [[nodiscard]] LocalFile lend(std::string const& key, Copy& copy);
  /// Evicts until `size` more fit, as far as that goes.
  void make_room(std::uint64_t size);
  Result<void> check_disk(std::uint64_t size) const;

  Fs& fs_;
  std::string const dir_;
  std::uint64_t const bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Copy> copies_;
  std::uint64_t bytes_ = 0, uses_ = 0, found_ = 0, fetched_ = 0;
};

}  // namespace fleet::blobs
