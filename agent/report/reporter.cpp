#include "agent/report/reporter.hpp"

#include "agent/store/boot_id.hpp"
#include "core/base/log.hpp"
#include "core/wire/json.hpp"

#include <malloc.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr Millis kBackoffMax = std::chrono::minutes{15};
/// A server that was restored is ahead of a device by what it had; one far ahead would leave no numbers.
constexpr std::int64_t kAckedLeapMax = std::int64_t{1} << 32;

Result<std::int64_t> decode_acked(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, 4096));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  auto const acked = reader.required_integer("acked", 0, std::int64_t{1} << 53);
  FLEET_CHECK(wire::no_faults(faults, "acknowledgement"));
  return acked;
}

}  // namespace

Reporter::Reporter(Context& context, Remote& remote)
    : context_(context),
      remote_(remote),
      budget_(context.fs, context.layout.telemetry_budget(), context.config.telemetry_bytes_per_day),
      boot_id_(read_boot_id(context.fs)) {}

void Reporter::wake() {
  {
    std::lock_guard const lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Reporter::gather() {
  for (auto& metrics : context_.collector.drain()) {
    wire::ReportItem item;
    item.metrics = std::move(metrics);
    if (auto const added = context_.spool->add(std::move(item)); !added) log::warn("telemetry.lost", {{"error", added.error().detail}});
  }
}

void Reporter::loop() {
  auto next_gather = context_.clock.mono() + context_.config.telemetry_interval;
  MonoTime quiet_until{};
  while (!context_.stop) {
    {
      // Critical items wake it; a short look-out besides, because items are added where nobody could wake it from.
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::min<Millis>(Millis{200}, context_.config.telemetry_interval), [this] { return woken_ || context_.stop; });
      woken_ = false;
    }
    auto const now = context_.clock.mono();
    bool const due = now >= next_gather;
    if (due) {
      // Past the day's bytes samples go on being folded, into one longer interval: coarser, not lost.
      if (!budget_.is_spent(context_.clock.wall())) gather();
      ::malloc_trim(0);  // what an install or a report took goes back to the device
      next_gather = now + context_.config.telemetry_interval;
    }
    if (now < quiet_until || context_.spool->size() == 0 || !(due || context_.spool->has_critical())) continue;
    auto const sent = send_all();
    if (sent || context_.stop) {
      failures_ = 0;
      continue;
    }
    if (failures_++ == 0) log::warn("report.failed", {{"code", sent.error().code}, {"error", sent.error().detail}});
    auto const most = std::min<double>(static_cast<double>(kBackoffMax.count()), 1000.0 * static_cast<double>(1ULL << std::min(failures_, 20)));
    quiet_until = now + std::max(remote_.retry_after(), Millis{static_cast<std::int64_t>(most * (0.5 + context_.random.uniform() / 2))});
  }
}

Result<void> Reporter::send_all() {
  auto size = kBatchBytes;
  while (context_.spool->size() > 0 && !context_.stop) {
    wire::Report report;
    report.items = context_.spool->next(size);
    if (report.items.empty()) return {};
    report.sequence = report.items.back().sequence;
    report.boot_id = boot_id_;
    auto body = wire::encode(report);
    budget_.use(body.size(), context_.clock.wall());
    auto const answer = remote_.post("/device/v1/reports", std::move(body), Millis{60'000}, 64 * 1024);
    if (!answer && answer.error().kind == Kind::too_large && report.items.size() > 1) {
      size /= 2;
      continue;
    }
    bool const refused = !answer && (answer.error().kind == Kind::bad_input || answer.error().kind == Kind::too_large);
    if (refused && report.items.size() > 1) {
      size = 1;  // one by one: only the one that is wrong is lost
      continue;
    }
    if (refused) {
      // The server will never take it: keeping it would hold back everything after.
      log::error("report.refused", {{"sequence", report.sequence}, {"error", answer.error().detail}});
      FLEET_CHECK(context_.spool->acknowledge(report.sequence));
      continue;
    }
    if (!answer) return answer.error();
    FLEET_TRY(auto const acked, decode_acked(answer->body));
    if (acked > report.sequence + kAckedLeapMax)
      return Error{Kind::bad_input, "acked_leap", fmt::format("the server acknowledged {}, {} was sent", acked, report.sequence)};
    FLEET_CHECK(context_.spool->acknowledge(acked));
    if (acked < report.sequence) return Error{Kind::conflict, "not_acknowledged", "the server acknowledged less than was sent"};
  }
  return {};
}

}  // namespace fleet::agent
