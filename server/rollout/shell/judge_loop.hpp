#pragma once

#include "server/rollout/shell/places.hpp"
#include "server/rollout/shell/service_clock.hpp"
#include "server/rollout/shell/snapshot_rows.hpp"
#include "server/services.hpp"

#include <array>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace fleet::rollout {

/// The judge's shell: gathers what is known, asks `step`, writes what it says. A look reads counts, never devices.
class JudgeLoop {
public:
  using GetSnapshot = std::function<Result<std::shared_ptr<Snapshot const>>()>;
  JudgeLoop(Services& services, ServiceClock& clock, SiteQueue& sites, GetSnapshot snapshot);
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
    Rollout rollout;            ///< as it was read or written last
    bool read = false;
    std::string release_state, against_state;
    bool fresh = true;          ///< it changed since the last look
    MonoTime due{};             ///< looked at again then at the latest
    MonoTime not_before{};      ///< a costly rollout is looked at less often
    std::vector<std::int64_t> members;  ///< of the open window, as the last scan had them
    std::array<int, 3> members_window{-1, -1, -1};  ///< its number, and how far it reaches: a verb may widen it
    MonoTime members_until{};           ///< then they are scanned for anew
    MonoTime members_due{};             ///< then they are looked at again
    std::int64_t undispatched = 0;      ///< as the last look at them had it
    std::string waits_at;               ///< the site at which one waits, as that look had it
    bool planned = false;               ///< over the fleet of now, a moment ago
    bool nobody = false;                ///< it was planned while its selector fitted no device
    SysTime next_point{};               ///< of the series
    std::int64_t return_cursor = 0;     ///< the last device that was found on its way back
    std::int64_t offline = 0, blocked = 0, blocked_beside = 0;  ///< as the last complete look at the members had it
    std::set<std::string> blocked_by;
    Millis samples_due{0};  ///< asked once a window
    int samples_window = -1;
    std::int64_t failed = -1;                      ///< of which the codes were read
    std::map<std::string, std::int64_t> failures;
  };
  struct Light {
    std::int64_t n, revision;
    std::string release_state, against_state;
  };

  void run();
  void note_round(Result<int> const& judged);
  [[nodiscard]] Result<bool> plan_anew(Watch& watch, Standing const& standing);
  Result<void> judge_one(db::Connection& reader, Watch& watch);
  Result<void> count_again();
  Result<Facts> gather(db::Connection& reader, Watch& watch);
  Result<void> settle();
  Result<void> keep_service_time();
  Result<void> keep_presence();
  Result<bool> mark_quiet(db::Connection& reader, Rollout const& rollout);
  Result<void> mark_ended(db::Connection& reader);
  Result<void> count_to_return(db::Connection& reader, Watch& watch, Facts& facts);
  /// Of the devices that a stage waits for, so many are named.
  static constexpr std::size_t kNamed = 3;
  static std::array<int, 3> reach_of(Progress const& progress);
  Result<void> look_at_members(db::Connection& reader, Watch& watch);
  Result<void> walk_members(db::Connection& reader, Snapshot const& snapshot, Watch& watch);
  Result<void> scan_members(db::Connection& reader, RolloutView const& view, Watch& watch);
  /// What a rollout waits for whose plan has no device: it is planned anew when the fleet has changed.
  static constexpr std::string_view kSomebody = "a device: none is selected yet";
  Result<Standing> standing_of(db::Connection& reader, Watch const& watch);
  Result<void> await_turn(db::Connection& reader, Rollout const& rollout, Standing& out);
  Result<void> write(Watch& watch, Stepped const& stepped, Facts const& facts);
  Result<void> write(store::Lane lane, store::Job job);
  [[nodiscard]] Result<bool> reachable(db::Connection& reader, std::int64_t device_n, Millis least);

  Services& services_;
  ServiceClock& clock_;
  SiteQueue& sites_;
  GetSnapshot snapshot_;
  std::map<std::int64_t, Watch> watches_;
  std::set<std::int64_t> changed_;
  std::vector<ViewPtr> miscounted_;  ///< in this round
  std::int64_t looked_hour_ = -1;  ///< of the last row of presence
  MonoTime service_kept_{}, ended_looked_{};
  std::string failing_;  ///< code of what the last round failed with
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fleet::rollout
