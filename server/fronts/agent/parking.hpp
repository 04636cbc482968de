#pragma once

#include "server/fronts/agent/poll.hpp"
#include "server/store/epochs.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace fleet::fronts {

/// Polls that have nothing to do yet, one lane an io thread. A lane is touched on its own thread only; nothing is locked.
class Parking {
public:
  enum class Wake { changed, waited, drained };
  using Handler = std::function<void(std::unique_ptr<Poll>, Wake)>;

  /// A change of policy concerns every device: so many are woken a lane and sweep, lest all read the database at once.
  static constexpr std::size_t kWokenEachSweep = 256;

  Parking(std::size_t threads, std::size_t max_parked, Handler handler);
  /// Takes the poll unless `max_parked` are there already; then it stays with the caller and false is returned.
  bool park(std::size_t thread, std::unique_ptr<Poll>& poll);
  /// Hands back every poll of the lane whose device, policy, time or patience has changed, and drops those whose peer has gone.
  void sweep(std::size_t thread, store::Epochs const& epochs, SysTime now, MonoTime mono);
  /// Hands back all of the lane.
  void release_all(std::size_t thread);
  [[nodiscard]] bool is_empty(std::size_t thread) const { return lanes_[thread].polls.empty(); }
  /// Any thread.
  [[nodiscard]] std::size_t count() const { return count_.load(std::memory_order_relaxed); }

private:
  struct alignas(64) Lane {
    std::vector<std::unique_ptr<Poll>> polls;
    std::size_t next = 0;  // where the next sweep starts: under a change of policy nobody waits longer than one round
  };
  struct Woken {
    std::unique_ptr<Poll> poll;
    Wake why;
  };
  void hand_back(std::vector<Woken>& woken);

  std::vector<Lane> lanes_;
  std::size_t max_parked_;
  Handler handler_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace fleet::fronts
