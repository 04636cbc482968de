#include "server/fronts/agent/reports.hpp"

#include "server/events/audit.hpp"
#include "server/delivery/device_record.hpp"
#include "server/delivery/queries.hpp"
#include "server/telemetry/fold.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::fronts {
namespace {

namespace json = boost::json;

std::optional<std::string> or_null(std::string const& text) { return text.empty() ? std::nullopt : std::optional(text); }

std::optional<Digest> digest_or_null(std::string const& hex) {
  auto const parsed = Digest::parse(hex);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

std::optional<std::string> error_json(wire::DeviceError const& error) {
  if (error.code.empty()) return std::nullopt;
  return json::serialize(json::object{{"code", error.code}, {"text", error.text}, {"output", error.output}});
}

/// One report on its way into the database.
class Intake {
public:
  Intake(store::Tx& tx, rollout::Engine& engine, delivery::DeviceRecord const& record, rollout::DeviceFacts facts, SysTime now)
      : tx_(tx), engine_(engine), record_(record), facts_(std::move(facts)), now_(now) {}

  Result<void> take(wire::ReportItem const& item) {
    if (item.update) return take_update(*item.update);
    if (item.metrics) return take_metrics(*item.metrics);
    if (item.facts) return take_facts(*item.facts);
    if (item.dropped) return take_dropped(*item.dropped);
    return {};  // a kind from a newer agent
  }

  /// Only the last word of each model becomes its state: a late report tells a long story, and what it told first is past.
  Result<void> finish() {
    for (auto const& [model, item] : last_updates_) FLEET_CHECK(put_model(*item));
    if (!last_updates_.empty()) tx_.raise_device_epoch(record_.n);
    return {};
  }

private:
  Result<void> take_update(wire::UpdateItem const& item) {
    auto const error = error_json(item.error);
    FLEET_CHECK(
        tx_.prepare(delivery::kAddHistory)
            .bind_all(record_.n, to_unix_ms(item.at), to_unix_ms(now_), item.model, item.version, item.state, or_null(item.rollout), item.attempt, error)
            .run());
    if (item.running_version.empty()) facts_.running.erase(item.model);
    else facts_.running[item.model] = item.running_version;
    last_updates_[item.model] = &item;
    if (error) FLEET_CHECK(emit_failure(item));
    return engine_.on_update(tx_, facts_, item, now_);
  }

  Result<void> put_model(wire::UpdateItem const& item) {
    return tx_.prepare(delivery::kPutModelFromReport)
        .bind_all(record_.n, item.model, or_null(item.running_version), digest_or_null(item.running_digest), or_null(item.version), item.state,
                  or_null(item.rollout), item.attempt, error_json(item.error), to_unix_ms(now_))
        .run();
  }

  Result<void> emit_failure(wire::UpdateItem const& item) {
    json::object const told{{"model", item.model},     {"version", item.version}, {"state", item.state},    {"rollout", item.rollout},
                            {"attempt", item.attempt}, {"code", item.error.code}, {"text", item.error.text}};
    return emit("device.update_failed", json::serialize(told));
  }

  Result<void> take_metrics(wire::MetricsItem const& item) {
    FLEET_CHECK(telemetry::fold(tx_, facts_.hardware, item, now_));
    return engine_.on_metrics(tx_, facts_, item, now_);
  }

  Result<void> take_facts(wire::FactsItem const& item) {
    json::object reported;
    for (auto const& [key, value] : item.reported) reported[key] = value;
    return tx_.prepare(delivery::kSetReported).bind_all(record_.n, json::serialize(reported)).run();
  }

  Result<void> take_dropped(wire::DroppedItem const& item) {
    return emit("device.telemetry_dropped", json::serialize(json::object{{"tier", item.tier}, {"items", item.items}}));
  }

  Result<void> emit(std::string_view type, std::string const& told) {
    return events::emit(tx_, now_, type, "device/" + record_.id, "device:" + record_.id, told);
  }

  store::Tx& tx_;
  rollout::Engine& engine_;
  delivery::DeviceRecord const& record_;
  rollout::DeviceFacts facts_;
  SysTime now_;
  std::map<std::string, wire::UpdateItem const*> last_updates_;
};

}  // namespace

Result<std::int64_t> take_report(store::Tx& tx, rollout::Engine& engine, std::int64_t device_n, wire::Report const& report, SysTime now) {
  FLEET_TRY(auto const record, delivery::load_record(tx.connection(), device_n));
  FLEET_TRY(auto facts, rollout::load_device_facts(tx.connection(), device_n));
  Intake intake(tx, engine, record, std::move(facts), now);
  std::int64_t acked = record.report_sequence;
  std::int64_t previous = 0;
  for (auto const& item : report.items) {
    if (item.sequence <= previous)
      return Error{Kind::bad_input, "sequence_order", fmt::format("an item of sequence {} follows one of {}", item.sequence, previous),
                   "send items in the order of their sequences, each once"};
    previous = item.sequence;
    if (item.sequence <= acked) continue;
    FLEET_CHECK(intake.take(item));
    acked = item.sequence;
  }
  FLEET_CHECK(intake.finish());
  FLEET_CHECK(tx.prepare(delivery::kTouchContact).bind_all(device_n, to_unix_ms(now)).run());
  if (acked != record.report_sequence) FLEET_CHECK(tx.prepare(delivery::kSetReportSequence).bind_all(device_n, acked).run());
  return acked;
}

}  // namespace fleet::fronts
