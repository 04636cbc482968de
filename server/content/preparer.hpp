#pragma once

#include "server/content/maker.hpp"
#include "server/content/paths.hpp"
#include "server/services.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace fleet::routes {

/// Prepares recipes in the background: one thread at the lowest priority, one recipe at a time, at most `bytes_max` on the disk, and beside them what protected
/// releases cannot travel without. What it was at when the server
/// ended it goes on with at the next start.
class Preparer {
public:
  Preparer(Services& services, std::uint64_t bytes_max) : services_(services), bytes_max_(bytes_max) {}
  ~Preparer() { stop(); }
  void start();
  /// Waits for its thread, which looks often.
  void stop();

  /// One round, as the thread does it: what is wanted is noted, what is not goes, and as many recipes are made as wait and fit.
  /// @returns whether there was anything to make
  Result<bool> round();
  /// Once, before the first round: what a cut left over goes, and what is told to be ready and is not there is made again.
  Result<void> settle();

private:
  void loop();
  void rest();
  [[nodiscard]] bool has_work();
  Result<void> look();
  /// False: there is no room for it, and nothing to give up for it.
  Result<bool> make_room(std::uint64_t bytes);
  Result<bool> has_room_for(Task const& task);
  [[nodiscard]] std::string root() const { return content_root(services_.data_dir, *services_.blobs); }
  [[nodiscard]] MakerContext context() const { return {services_.store, services_.fs, services_.clock, root(), *services_.blobs, *services_.keys, stop_}; }

  Services& services_;
  std::uint64_t bytes_max_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<std::thread> thread_;
  std::uint64_t seen_ = 0;  ///< epoch of rollouts and releases
  MonoTime looked_{};
  std::set<std::int64_t> too_large_;  ///< recipes that have no room, as it was at the last look
};

}  // namespace fleet::routes
