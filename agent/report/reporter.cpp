#include "agent/report/reporter.hpp"

#include "agent/store/boot_id.hpp"
#include "core/base/log.hpp"

#include <malloc.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr std::size_t kLittleBytes = 16 * 1024;  // beside a result, while a server that is busy takes no samples
constexpr std::size_t kAnswerBytesMax = 4096;
constexpr Millis kTimeout{60'000};
constexpr Millis kResendMin{1'000};
constexpr Millis kBackoffMax = std::chrono::minutes{15};

}  // namespace

Reporter::Reporter(Context& context, Remote& remote, std::function<bool()> is_working)
    : context_(context),
      remote_(remote),
      is_working_(std::move(is_working)),
      budget_(context.fs, context.layout.telemetry_budget(), context.config.telemetry_bytes_per_day),
      cadence_(context.config.telemetry_interval, context.config.telemetry_idle, context.clock.mono()),
      boot_id_(read_boot_id(context.fs)),
      next_gather_(context.clock.mono() + context.config.telemetry_interval) {
  context_.spool->on_urgent([this] { wake(); });
}

Reporter::~Reporter() { context_.spool->on_urgent({}); }

void Reporter::wake() {
  {
    std::lock_guard const lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Reporter::greet() {
  greets_ = true;
  wake();
}

void Reporter::wait(MonoTime until) {
  std::unique_lock lock(mutex_);
  auto const pause = until - context_.clock.mono();
  if (pause > Millis{0}) changed_.wait_for(lock, pause, [this] { return woken_ || context_.stop; });
  woken_ = false;
}

void Reporter::keep(wire::ReportItem item) {
  if (auto const added = context_.spool->add(std::move(item)); !added) log::warn("telemetry.not_kept", {{"error", added.error().detail}});
}

void Reporter::gather(MonoTime now) {
  // Past the day's bytes samples go on being folded, into one longer interval: coarser, not lost.
  if (budget_.is_spent(context_.clock.wall())) return;
  cadence_.told(now);
  if (tell_) tell_();
  for (auto& metrics : context_.collector.drain()) {
    wire::ReportItem item;
    item.metrics = std::move(metrics);
    keep(std::move(item));
  }
  for (auto& note : context_.collector.notes()) {
    wire::ReportItem item;
    item.note = std::move(note);
    keep(std::move(item));
  }
}

bool Reporter::take_offered() {
  if (!take_ || budget_.is_spent(context_.clock.wall())) return false;
  auto item = take_();
  if (!item) return false;
  keep(*std::move(item));
  return true;
}

void Reporter::loop() {
  while (!context_.stop) {
    wait(next_turn());
    turn();
  }
  gather(context_.clock.mono());  // what was folded goes on after a restart
  context_.spool->spill();
}

MonoTime Reporter::next_turn() const {
  return std::min({next_gather_, resend_at_, context_.clock.mono() < quiet_until_ ? quiet_until_ : MonoTime::max()});
}

void Reporter::turn() {
  auto const now = context_.clock.mono();
  bool const due = now >= next_gather_;
  bool const works = due && is_working_();
  if (works || context_.spool->has_urgent()) cadence_.judges(now);
  if (due) {
    if (cadence_.is_due(now)) gather(now);
    ::malloc_trim(0);  // what an install or a report took goes back to the device
    next_gather_ = now + context_.config.telemetry_interval;
    if (works) greets_ = true;
  }
  if (now >= resend_at_) {
    resend_at_ = MonoTime::max();
    context_.spool->resend();
  }
  bool const quiet = now < quiet_until_;
  if (quiet && (had_results_ || !(greets_ || context_.spool->has_results()))) return;
  bool const offered = !quiet && take_offered();
  if (!(offered || greets_ || context_.spool->has_urgent() || (due && context_.spool->has_items()))) return;
  auto const sent = send_all(quiet ? kLittleBytes : kBatchBytes);
  if (!sent && !context_.stop) failed(sent.error());
}

Result<void> Reporter::send_all(std::size_t batch_bytes) {
  for (auto size = batch_bytes;;) {
    auto report = context_.spool->next(size);
    auto const items = report.size();
    had_results_ = items == 0 || !report.items[wire::Tier::critical].empty();
    if (context_.stop || (items == 0 && !greets_)) return {};
    report.boot_id = boot_id_;
    report.clock = context_.clock.wall();
    auto body = wire::encode(report);
    budget_.use(body.size(), context_.clock.wall());
    auto const answer = remote_.post("/device/v1/reports", std::move(body), kTimeout, kAnswerBytesMax);
    bool const refused = !answer && (answer.error().kind == Kind::bad_input || answer.error().kind == Kind::too_large);
    if (refused && items > 1) {
      size = answer.error().kind == Kind::too_large ? size / 2 : 1;  // one by one only the one that is wrong is lost
    } else if (refused && items == 1) {
      log::error("report.refused", {{"error", answer.error().detail}});
      context_.spool->forget(report);
    } else if (!answer) {
      return answer.error();
    } else {
      FLEET_TRY(auto const told, wire::decode_report_answer(answer->body));
      FLEET_CHECK(settle(report, told));
    }
  }
}

Result<void> Reporter::settle(wire::Report const& sent, wire::ReportAnswer const& answer) {
  FLEET_CHECK(context_.spool->settle(answer));
  greets_ = false;
  failures_ = 0;
  resend_at_ = context_.spool->is_unsettled() ? context_.clock.mono() + std::max(kResendMin, Millis{answer.resend_after_s * 1000}) : MonoTime::max();
  for (auto const tier : wire::kTiers)
    if (auto const& items = sent.items[tier]; !items.empty() && std::max(answer.acked[tier], answer.received[tier]) < items.back().sequence)
      return Error{Kind::conflict, "not_received", fmt::format("the server received {} of tier {}, {} was sent", answer.received[tier], wire::tier_name(tier),
                                                               items.back().sequence)};
  return {};
}

void Reporter::failed(Error const& error) {
  if (failures_++ == 0) log::warn("report.failed", {{"code", error.code}, {"error", error.detail}});
  auto const most = std::min<double>(static_cast<double>(kBackoffMax.count()), 1000.0 * static_cast<double>(1ULL << std::min(failures_, 20)));
  quiet_until_ = context_.clock.mono() + std::max(remote_.retry_after(), Millis{static_cast<std::int64_t>(most * (0.5 + context_.random.uniform() / 2))});
}

}  // namespace fleet::agent
