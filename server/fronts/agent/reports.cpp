#include "server/fronts/agent/reports.hpp"

#include "server/delivery/bundles.hpp"
#include "server/delivery/device_record.hpp"
#include "server/delivery/queries.hpp"
#include "server/delivery/support.hpp"
#include "server/events/audit.hpp"
#include "server/telemetry/fold.hpp"
#include "server/telemetry/labels.hpp"
#include "server/telemetry/latest.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>

namespace fleet::fronts {
namespace {

namespace json = boost::json;

/// Changes of state that are kept of one device; the oldest go.
constexpr std::int64_t kHistoryOfDevice = 1'000;
constexpr std::int64_t kTrimEvery = 64;  ///< items: finding the oldest reads all of them

std::int64_t count_items(wire::ByTier<std::int64_t> const& acked) {
  std::int64_t out = 0;
  for (auto const tier : wire::kTiers) out += acked[tier];
  return out;
}

std::optional<std::string> error_json(wire::DeviceError const& error) {
  if (error.code.empty()) return std::nullopt;
  return json::serialize(json::object{{"code", error.code}, {"text", error.text}, {"output", error.output}});
}

/// What the device may still make grow.
struct Quotas {
  registry::DeviceQuota events, series, intervals;
  Quotas(std::int64_t device_n, std::span<registry::QuotaRow const> rows, SysTime now)
      : events(device_n, registry::kEventsOfDevice, rows, now),
        series(device_n, registry::kSeriesOfDevice, rows, now),
        intervals(device_n, registry::kIntervalsOfDevice, rows, now) {}
  Result<void> save(store::Tx& tx) {
    for (auto* const quota : {&events, &series, &intervals}) FLEET_CHECK(quota->save(tx));
    return {};
  }
};

/// A piece of a report on its way into the database.
class Intake {
public:
  Intake(store::Tx& tx, rollout::Engine& engine, Reporters& reporters, Reporter reporter, SysTime now, telemetry::Sink const* sink, std::optional<Millis> skew)
      : tx_(tx), engine_(engine), reporters_(reporters), facts_(std::move(reporter.facts)), quotas_(facts_.n, reporter.quotas, now), now_(now), sink_(sink), skew_(skew) {}

  /// False: what devices measure waits for a sink already, as much as may. Looked at once a piece.
  Result<bool> has_room(wire::ReportItem const& item) {
    if (sink_ == nullptr || !item.metrics) return true;
    if (!room_) {
      FLEET_TRY(auto const waiting, telemetry::load_waiting(tx_.connection()));
      room_ = waiting.rows < sink_->waiting_max();
    }
    return *room_;
  }

  Result<void> take(wire::ReportItem const& item) {
    if (item.update) return take_update(*item.update);
    if (item.metrics) return take_metrics(*item.metrics);
    if (item.facts) return take_facts(*item.facts);
    if (item.dropped) dropped_[item.dropped->tier] += item.dropped->items;
    if (item.note) return emit("device.note", json::object{{"code", item.note->code}, {"text", item.note->text}});
    if (item.support) return delivery::take_support(tx_, facts_.n, facts_.id, *item.support, now_);
    return {};  // a kind from a newer agent
  }

  Result<void> finish() {
    // Only the last word of each model becomes its state: a late report tells a long story, and what it told first is past.
    for (auto const& [model, item] : last_updates_) FLEET_CHECK(put_model(*item));
    if (!last_updates_.empty()) tx_.raise_device_epoch(facts_.n);
    for (auto const& [tier, items] : dropped_) FLEET_CHECK(emit("device.telemetry_dropped", json::object{{"tier", tier}, {"items", items}}));
    FLEET_CHECK(keep_latest());
    if (auto const over = quotas_.events.tell(); over > 0) FLEET_CHECK(put_event("device.other", json::object{{"items", over}}));
    return quotas_.save(tx_);
  }

private:
  // What nobody made is not kept: its name is the device's own invention.
  Result<void> take_update(wire::UpdateItem const& item) {
    FLEET_TRY(bool const known, reporters_.knows(tx_, item.model));
    if (!known) return {};
    auto const error = error_json(item.error);
    FLEET_CHECK(tx_.prepare(delivery::kAddHistory)
                    .bind_all(facts_.n, to_unix_ms(item.at), to_unix_ms(now_), item.model, item.version, item.state, db::text_or_null(item.rollout),
                              item.attempt, error)
                    .run());
    if (item.running_version.empty()) facts_.running.versions.erase(item.model);
    else facts_.running.versions[item.model] = item.running_version;
    last_updates_[item.model] = &item;
    if (error) FLEET_CHECK(emit_failure(item));
    FLEET_CHECK(delivery::heed_report(tx_, facts_.n, item));
    return engine_.on_update(tx_, facts_, item, now_);
  }

  Result<void> put_model(wire::UpdateItem const& item) {
    return tx_.prepare(delivery::kPutModelFromReport)
        .bind_all(facts_.n, item.model, db::text_or_null(item.running_version), db::digest_or_null(item.running_digest), db::text_or_null(item.version),
                  item.state, db::text_or_null(item.rollout), item.attempt, error_json(item.error), to_unix_ms(now_))
        .run();
  }

  Result<void> emit_failure(wire::UpdateItem const& item) {
    return emit("device.update_failed", json::object{{"model", item.model},
                                                     {"version", item.version},
                                                     {"state", item.state},
                                                     {"rollout", item.rollout},
                                                     {"attempt", item.attempt},
                                                     {"code", item.error.code},
                                                     {"text", item.error.text}});
  }

  Result<void> take_metrics(wire::MetricsItem const& item) {
    FLEET_TRY(bool const known, item.model.empty() ? Result<bool>(true) : reporters_.knows(tx_, item.model));
    auto named = item;
    if (!known) named.model.clear();
    bool const is_off = skew_.value_or(Millis{0}) != Millis{0} || telemetry::is_ahead(item, now_);
    return fold(is_off ? telemetry::without_time(std::move(named), now_) : named);
  }

  Result<void> fold(wire::MetricsItem const& item) {
    if (!kept_) {
      FLEET_TRY(auto const names, reporters_.labels(tx_));
      kept_ = telemetry::kept_by(names, facts_.labels);
    }
    if (!latest_) {
      FLEET_TRY(latest_, telemetry::load_latest(tx_.connection(), facts_.n));
      latest_->other = 0;
    }
    FLEET_CHECK(telemetry::fold(tx_, {facts_.hardware, *kept_, quotas_.series, quotas_.intervals, *latest_, sink_ != nullptr}, item, now_));
    return engine_.on_metrics(tx_, facts_, item, now_);
  }

  Result<void> keep_latest() {
    if (!latest_) return {};
    if (skew_) latest_->skew = *skew_;
    for (auto const& change : telemetry::take_changes(*latest_, now_))
      if (quotas_.events.take()) FLEET_CHECK(events::emit(tx_, now_, change.type, "device/" + facts_.id, "device:" + facts_.id, change.data));
    return telemetry::save_latest(tx_, facts_.n, *latest_);
  }

  Result<void> take_facts(wire::FactsItem const& item) {
    json::object reported;
    for (auto const& [key, value] : item.reported) reported[key] = value;
    return tx_.prepare(delivery::kSetReported).bind_all(facts_.n, json::serialize(reported)).run();
  }

  Result<void> emit(std::string_view type, json::object const& told) { return quotas_.events.take() ? put_event(type, told) : Result<void>{}; }
  Result<void> put_event(std::string_view type, json::object const& told) {
    return events::emit(tx_, now_, type, "device/" + facts_.id, "device:" + facts_.id, json::serialize(told));
  }

  store::Tx& tx_;
  rollout::Engine& engine_;
  Reporters& reporters_;
  registry::DeviceFacts facts_;
  Quotas quotas_;
  SysTime now_;
  telemetry::Sink const* sink_;
  std::optional<bool> room_;
  std::optional<Millis> skew_;                 ///< of the device's clock; nothing: it did not say
  std::optional<telemetry::Latest> latest_;    ///< of a piece that has samples
  std::optional<telemetry::KeptBy> kept_;  ///< looked up once a piece that has samples
  std::map<std::string, wire::UpdateItem const*> last_updates_;
  std::map<std::string, std::int64_t> dropped_;  ///< by tier
};

}  // namespace

std::vector<wire::Report> cut(wire::Report report) {
  std::vector<wire::Report> out(1);
  out.back().boot_id = report.boot_id;
  out.back().clock = report.clock;
  std::size_t items = 0;
  for (auto const tier : wire::kTiers)
    for (auto& item : report.items[tier]) {
      if (items++ == kItemsOfPiece) {
        items = 1;
        out.emplace_back().boot_id = report.boot_id;
        out.back().clock = report.clock;
      }
      out.back().items[tier].push_back(std::move(item));
    }
  return out;
}

Result<wire::ReportAnswer> take_report(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::Report const& report, SysTime now, Heard heard,
                                       telemetry::Sink* sink) {
  Reporters alone;
  FLEET_CHECK(alone.load(tx, {&device_n, 1}));
  return take_report(tx, engine, alone, device_n, report, now, heard, sink);
}

Result<wire::ReportAnswer> take_report(store::Tx& tx, rollout::Engine& engine, Reporters& reporters, std::int64_t device_n, wire::Report const& report,
                                       SysTime now, Heard heard, telemetry::Sink* sink) {
  FLEET_TRY(auto reporter, reporters.take(tx, device_n));
  auto const before = reporter.acked;
  // A receipt is carried for days.
  auto const skew = heard == Heard::now && report.clock != SysTime{} ? std::optional(telemetry::skew_of(report.clock, now)) : std::nullopt;
  Intake intake(tx, engine, reporters, std::move(reporter), now, sink, skew);
  wire::ReportAnswer answer{before, before};
  for (auto const tier : wire::kTiers) {
    auto& acked = answer.acked[tier];
    for (auto const& item : report.items[tier]) {
      if (item.sequence <= acked) continue;
      FLEET_TRY(bool const has_room, intake.has_room(item));
      if (!has_room) break;
      FLEET_CHECK(intake.take(item));
      acked = item.sequence;
    }
    if (acked != before[tier]) FLEET_CHECK(tx.prepare(delivery::kPutTier).bind_all(device_n, wire::tier_name(tier), acked).run());
  }
  bool const held = sink != nullptr && is_held(report, answer);
  if (held) sink->note_held();
  if (held && answer.acked == before)
    return Error{Kind::unavailable, "busy", "what devices measure waits for the place that keeps it, as much as may", "the device keeps what it has, and sends it again"};
  FLEET_CHECK(intake.finish());
  // By what was acknowledged in all tiers: no device can send its updates past it.
  bool const trims = count_items(answer.acked) / kTrimEvery != count_items(before) / kTrimEvery;
  if (trims) FLEET_CHECK(tx.prepare(delivery::kTrimHistory).bind_all(device_n, kHistoryOfDevice).run());
  if (heard == Heard::now) FLEET_CHECK(tx.prepare(delivery::kTouchContact).bind_all(device_n, to_unix_ms(now), engine.clock().now().count()).run());
  answer.received = answer.acked;
  return answer;
}

bool is_held(wire::Report const& piece, wire::ReportAnswer const& answer) {
  return std::any_of(wire::kTiers.begin(), wire::kTiers.end(), [&](wire::Tier tier) {
    auto const& items = piece.items[tier];
    return !items.empty() && answer.acked[tier] < items.back().sequence;
  });
}

}  // namespace fleet::fronts
