#pragma once

#include "server/rollout/shell/snapshot_rows.hpp"
#include "server/services.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace fleet::rollout {

/// The judge's shell: gathers facts, asks `judge`, writes what it says.
class JudgeLoop {
public:
  using GetSnapshot = std::function<Result<std::shared_ptr<Snapshot const>>()>;
  JudgeLoop(Services& services, GetSnapshot snapshot);
  ~JudgeLoop();
  void start();
  void stop();
  /// Rows of this rollout changed. Any thread.
  void changed(std::int64_t rollout_n);
  /// Looks once at all that are due; returns how many were judged. What the thread calls every 250 ms.
  Result<int> round();

private:
  /// What is remembered of a rollout between rounds.
  struct Watch {
    std::int64_t revision = -1;
    SysTime due{};                      ///< judged again then at the latest: timers, silence, contacts
    SysTime not_before{};               ///< a costly rollout is judged less often
    std::vector<std::int64_t> members;  ///< of the stage, as the last scan had them
    int members_stage = 0;
    std::int64_t members_attempt = 0;
    SysTime members_until{};
    SysTime next_point{};                   ///< of the series
    std::int64_t offline = 0, blocked = 0;  ///< as the last complete look at the members had it
    std::set<std::string> blocked_by;
  };
  struct Gathered;
  /// A row whose time of silence came.
  struct Due {
    std::int64_t device;
    bool waiting;
    SysTime since;
  };

  void run();
  Result<void> judge_one(db::Connection& reader, Rollout const& rollout, Watch& watch);
  Result<Gathered> gather(db::Connection& reader, Rollout const& rollout, SysTime now);
  Result<void> settle();
  Result<void> mark_silent(Rollout const& rollout, Gathered const& gathered, SysTime now);
  Result<void> mark_one(store::Tx& tx, Rollout const& rollout, Due due, Millis limit, SysTime now);
  Result<void> look_at_members(db::Connection& reader, Rollout const& rollout, Watch& watch, Gathered& gathered, SysTime now);
  Result<Standing> standing_of(db::Connection& reader, Rollout const& rollout);
  Result<void> write(Rollout const& judged, Verdict const& verdict, Facts const& facts, SysTime now, Watch& watch);
  [[nodiscard]] Result<bool> reachable(db::Connection& reader, std::int64_t device_n, SysTime now, Millis least);

  Services& services_;
  GetSnapshot snapshot_;
  std::map<std::int64_t, Watch> watches_;
  std::set<std::int64_t> changed_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fleet::rollout
