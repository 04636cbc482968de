#pragma once

#include "agent/context.hpp"
#include "agent/report/cadence.hpp"
#include "agent/store/budget.hpp"
#include "agent/trust/remote.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace fleet::agent {

/// Sends what is spooled: what is critical or diagnostic at once, the rest each telemetry interval, samples by their cadence. Sleeps until then: an idle
/// device is woken once each interval. One thread calls `loop`.
class Reporter {
public:
  /// @param is_working  an update or a proof is under way: at least an empty report goes out each interval, so that silence means something
  Reporter(Context& context, Remote& remote, std::function<bool()> is_working);
  ~Reporter();
  /// What is bulk and made only when it may be sent: `take` is asked on the thread that reports, while there are bytes left of the day and the server is
  /// no cause to wait. Before `loop`.
  void offer(std::function<std::optional<wire::ReportItem>()> take) { take_ = std::move(take); }
  /// Asked just before samples are told. Before `loop`.
  void measure(std::function<void()> tell) { tell_ = std::move(tell); }
  void loop();
  /// What there is to do now: what `loop` does each time it wakes.
  void turn();
  /// When there is something to do next, if nobody wakes it.
  [[nodiscard]] MonoTime next_turn() const;
  /// From any thread: looks at once.
  void wake();
  /// From any thread: reports at once, if only to hear what the server has (one that was restored has less than it acknowledged).
  void greet();

private:
  void wait(MonoTime until);
  Result<void> send_all(std::size_t batch_bytes);
  Result<void> settle(wire::Report const& sent, wire::ReportAnswer const& answer);
  void gather(MonoTime now);
  bool take_offered();
  void keep(wire::ReportItem item);
  void failed(Error const& error);

  Context& context_;
  Remote& remote_;
  std::function<bool()> is_working_;
  std::function<std::optional<wire::ReportItem>()> take_;
  std::function<void()> tell_;
  Budget budget_;
  Cadence cadence_;
  std::string boot_id_;
  int failures_ = 0;
  MonoTime next_gather_;
  MonoTime quiet_until_{};  ///< after a failure
  bool had_results_ = false;  ///< the report that was sent last: it failed for all; else results have not been tried, and do not wait
  MonoTime resend_at_ = MonoTime::max();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = true;  ///< what lies there from before is looked at first
  std::atomic<bool> greets_ = false;
};

}  // namespace fleet::agent
