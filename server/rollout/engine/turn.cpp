#include "server/rollout/engine/turn.hpp"

namespace fleet::rollout {

std::string said(DeviceRow const& row) { return row.error.empty() ? std::string() : fmt::format(" ({})", row.error); }

bool is_frozen(Deciding& d, RolloutView const& view) {
  auto const until = view.rollout.policy.frozen_until(d.asking.now.wall);
  if (!until) return false;
  d.out.valid_until = until;
  d.note("frozen", fmt::format("rollout {} starts nothing until {}", view.rollout.id, to_rfc3339(*until)));
  return true;
}

bool may_start(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  if (rollout.state != State::running) {
    d.note(std::string(to_string(rollout.state)), fmt::format("rollout {} is {}: nothing new starts", rollout.id, to_string(rollout.state)));
    return false;
  }
  if (rollout.progress.quarantined.contains(d.stratum(view))) {
    d.note("quarantined", fmt::format("stratum {} of rollout {} has shown harm by itself: it is told nothing more", d.stratum(view), rollout.id));
    return false;
  }
  return !is_frozen(d, view);
}

std::int64_t line_after(std::int64_t free_at_us, Millis now, std::int64_t bytes, std::uint64_t bytes_per_s) {
  constexpr std::chrono::microseconds kKept = seconds(10);
  auto const now_us = std::chrono::microseconds(now).count();
  auto const begins = free_at_us == 0 ? now_us : std::max(free_at_us, now_us - kKept.count());
  return begins + std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(bytes) / static_cast<double>(bytes_per_s) * 1e6));
}

bool within_egress(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  auto const free_at = view.line_free_at->load(std::memory_order_relaxed);
  if (rollout.policy.egress == 0 || free_at <= std::chrono::microseconds(d.asking.now.service).count()) return true;
  d.out.retry_soon = true;
  d.note("egress", fmt::format("rollout {} tells devices at {} bytes/s, its limit", rollout.id, rollout.policy.egress));
  return false;
}

bool within_limits(Deciding& d, RolloutView const& view) {
  auto const& rollout = view.rollout;
  auto const limit = rollout.policy.in_flight;
  if (limit > 0 && view.at_work->load(std::memory_order_relaxed) >= limit) {
    d.out.retry_soon = true;
    d.note("in_flight", fmt::format("rollout {} has {} devices at work, its limit", rollout.id, limit));
    return false;
  }
  return within_egress(d, view);
}

bool within_plan(Deciding& d, RolloutView const& view) {
  constexpr Millis kAskAgain = std::chrono::minutes{1};
  auto const& progress = view.rollout.progress;
  auto const planned = view.ladder->counts.at(static_cast<std::size_t>(std::clamp(progress.canaries, 0, view.ladder->last())));
  if (progress.full || view.rollout.policy.ab || view.told->load(std::memory_order_relaxed) < planned) return true;
  if (view.at_work->load(std::memory_order_relaxed) < view.beyond_max->load(std::memory_order_relaxed)) return true;
  d.out.beyond_plan = true;
  d.out.valid_until = d.asking.now.wall + kAskAgain;
  d.note("beyond_plan", fmt::format("rollout {} has told the {} devices that it was planned to tell by now: those that came since follow a few at a time", view.rollout.id, planned));
  return false;
}

bool takes_place(Deciding& d, RolloutView const& view) {
  d.out.desired.takes.reset();
  auto const& limit = view.rollout.policy.per_place;
  if (!limit) return true;
  auto site = site_of(limit->label, d.device.hardware, d.device.labels);
  if (!site) return true;
  auto const others = d.asking.under_way.find(limit->label);
  if (others == d.asking.under_way.end() || others->second < limit->at_once) {
    d.out.desired.takes = std::move(site);
    return true;
  }
  d.note("place_taken", fmt::format("rollout {} updates {} of {}={} at one time, and {} under way: this device follows when it is done", view.rollout.id,
                                    limit->at_once, site->label, site->value, others->second == 1 ? std::string("1 is") : fmt::format("{} are", others->second)));
  d.out.waits_at = std::move(site);
  return false;
}

bool tries_once_more(Deciding& d, RolloutView const& view, DeviceRow const& row) {
  auto const& rollout = view.rollout;
  if (!row.again) return false;
  if (*row.again == Millis{0}) return true;
  // What failed in a stage is evidence for it first.
  bool const passed = rollout.state == State::completed || rollout.stage > row.stage || without_gates(rollout.policy);
  auto const left = *row.again - d.asking.now.service;
  if (passed && left <= Millis{0}) return true;
  if (passed) d.out.valid_until = d.asking.now.wall + left;
  d.note("tries_again", passed ? fmt::format("attempt {} of {} failed in rollout {}{}; it tries again in {}", row.attempt, rollout.version, rollout.id, said(row),
                                             fleet::to_string(std::chrono::ceil<seconds>(left)))
                               : fmt::format("attempt {} of {} failed in rollout {}{}; it tries again once stage {} has passed", row.attempt, rollout.version, rollout.id,
                                             said(row), rollout.stage));
  return false;
}

}  // namespace fleet::rollout
