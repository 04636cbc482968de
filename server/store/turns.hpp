#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"
#include "server/store/epochs.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet::store {

/// What a commit changed that servers remember.
struct Change {
  std::string what;  ///< policy | events | device (which: its n) | whatever a room listens to: a word
  std::string which;
};

/// Several servers on one database write one after the other, and each, before it writes, hears what the others wrote: what is decided in a job is decided as if
/// there were one server (docs/adr/0061). A server alone on a file takes no turns.
///
/// `begin`, `tell` and `committed` belong to the writer's thread, `follow` to one other.
class Turns {
public:
  /// @param node  of this server; empty: it is alone, and everything below does nothing
  Turns(std::string node, Epochs& epochs) : node_(std::move(node)), epochs_(epochs) {}
  [[nodiscard]] bool is_shared() const { return !node_.empty(); }
  [[nodiscard]] std::string const& node() const { return node_; }

  /// Told of what others changed, after the epochs were raised. With the writer's connection at the begin of its turn, in its transaction; without one as
  /// soon as it is known, on the thread that follows. `what` "all": anything may have changed; "heard": that was all for now.
  using Listener = std::function<void(Change const& change, db::Connection* writing)>;
  /// Something to be written with whatever is committed. Both outlive every turn.
  using Writing = std::function<Result<void>(db::Connection& connection, std::vector<Change>& changes)>;
  void on_change(Listener listener);
  /// @param committed  after a commit that held it
  void on_commit(Writing writing, std::function<void()> committed);

  /// First in a transaction that writes: waits until no other server is in one, then hears what they did. @errors unavailable (`database_busy`)
  Result<void> begin(db::Connection& connection);
  /// Last in it.
  Result<void> tell(db::Connection& connection, std::vector<Change> changes);
  void committed();

  /// Hears of what was committed since, by a connection that only reads. @returns whether the others changed anything
  Result<bool> follow(db::Connection& reader, MonoTime now);
  /// What is remembered may be told: the others were heard less than kFresh ago, or there are none. Any thread.
  [[nodiscard]] bool is_current(MonoTime now) const;
  static constexpr Millis kFresh{2'000};
  /// How many other servers live.
  void set_others(int others) { others_.store(others, std::memory_order_relaxed); }
  [[nodiscard]] int others() const { return others_.load(std::memory_order_relaxed); }

  /// Rows of `told` that are kept: who is further behind forgets everything it remembers.
  static constexpr std::int64_t kKept = 20'000;

private:
  Result<bool> hear(db::Connection& connection, std::int64_t& heard, db::Connection* writing);
  void pass_on(Change const& change, db::Connection* writing);

  std::string node_;
  Epochs& epochs_;
  std::shared_mutex mutex_;  ///< of both lists
  std::vector<Listener> listeners_;
  std::vector<std::pair<Writing, std::function<void()>>> writings_;
  std::int64_t turn_ = 0;
  std::int64_t heard_ = -1;     ///< by the writer; -1: nothing yet
  std::int64_t followed_ = -1;  ///< by the thread that follows
  std::atomic<MonoTime> followed_at_{MonoTime{}};
  std::atomic<int> others_{0};
};

}  // namespace fleet::store
