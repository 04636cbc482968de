#include "server/delivery/device_record.hpp"

#include "server/delivery/queries.hpp"
#include "server/store/db/set.hpp"

#include <fmt/format.h>

namespace fleet::delivery {
namespace {

// A digest that is none is recorded as none: compared raw, it would differ at every poll and cost a write each time.
wire::ModelStatus as_recorded(wire::ModelStatus status) {
  if (!db::digest_or_null(status.digest)) status.digest.clear();
  return status;
}

Result<void> check_active(DeviceRecord const& record) {
  if (record.state == "active") return {};
  return Error{Kind::forbidden, "device_" + record.state, fmt::format("device {} is {}", record.id, record.state),
               "enrol it again with a new token if it should return"};
}

}  // namespace

Result<DeviceRecord> load_record(db::Connection& reader, std::int64_t device_n) {
  auto row = reader.prepare(kGetRecord);
  FLEET_TRY(bool const found, row.bind(1, device_n).step());
  if (!found) return Error{Kind::unauthenticated, "unknown_device", "this device is not registered", "enrol it"};
  DeviceRecord record{.n = device_n,
                      .id = row.text(0),
                      .state = row.text(1),
                      .hardware = row.text(2),
                      .agent = row.text(3),
                      .boot_id = row.text(4),
                      .sequence = row.int64(5),
                      .reserved = row.int64(8),
                      .targets = row.text(6),
                      .collect = row.text(9),
                      .not_after = from_unix_ms(row.int64(7)),
                      .models = {},
                      .strangers = {}};
  FLEET_CHECK(check_active(record));
  auto models = reader.prepare(kGetRecordModels);
  models.bind(1, device_n);
  for (;;) {
    FLEET_TRY(bool const more, models.step());
    if (!more) return record;
    wire::ModelStatus status{.digest = models.is_null(2) ? "" : models.digest(2).hex(),
                             .version = models.text(1),
                             .state = models.text(3),
                             .rollout = models.text(4),
                             .attempt = models.int64(5),
                             .waiting = models.text(6),
                             .to_fetch = models.int64(7),
                             .variant = models.text(8),
                             .retest = models.text(9)};
    record.models.emplace_hint(record.models.end(), models.text(0), std::move(status));
  }
}

Result<std::map<std::int64_t, wire::ByTier<std::int64_t>>> load_tiers(db::Connection& reader, std::span<std::int64_t const> devices) {
  std::map<std::int64_t, wire::ByTier<std::int64_t>> out;
  auto rows = reader.prepare(kGetTiers);
  db::bind_set(rows, devices);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    for (auto const tier : wire::kTiers)
      if (wire::tier_name(tier) == rows.text_view(1)) out[rows.int64(0)][tier] = rows.int64(2);
  }
}

Result<void> find_strangers(db::Connection& reader, DeviceRecord& record, wire::PollRequest const& poll) {
  for (auto const& entry : poll.models) {
    if (record.models.contains(entry.first)) continue;
    auto row = reader.prepare(kKnowsModel);
    FLEET_TRY(bool const known, row.bind(1, entry.first).step());
    if (!known) record.strangers.insert(entry.first);
  }
  return {};
}

bool is_recorded(DeviceRecord const& record, wire::PollRequest const& poll) {
  if (record.agent != poll.agent || record.boot_id != poll.boot_id) return false;
  auto known = record.models.begin();
  for (auto const& [model, status] : poll.models) {
    if (record.strangers.contains(model)) continue;
    if (known == record.models.end() || known->first != model) return false;
    if (known->second != status && known->second != as_recorded(status)) return false;
    ++known;
  }
  return known == record.models.end();
}

Result<void> record_poll(store::Tx& tx, DeviceRecord& record, wire::PollRequest const& poll, SysTime now) {
  if (record.agent != poll.agent || record.boot_id != poll.boot_id) {
    FLEET_CHECK(tx.prepare(kSetAgent).bind_all(record.n, poll.agent, poll.boot_id).run());
    record.agent = poll.agent;
    record.boot_id = poll.boot_id;
  }
  FLEET_CHECK(find_strangers(tx.connection(), record, poll));
  for (auto const& [model, told] : poll.models) {
    if (record.strangers.contains(model)) continue;
    auto const status = as_recorded(told);
    auto& known = record.models[model];
    if (known == status) continue;
    FLEET_CHECK(tx.prepare(kPutModelFromPoll)
                    .bind_all(record.n, model, db::text_or_null(status.version), db::digest_or_null(status.digest), status.state, db::text_or_null(status.rollout), status.attempt,
                              db::text_or_null(status.waiting), to_unix_ms(now), status.to_fetch, db::text_or_null(status.variant), db::text_or_null(status.retest))
                    .run());
    known = status;
  }
  for (auto known = record.models.begin(); known != record.models.end();) {
    if (poll.models.contains(known->first)) {
      ++known;
      continue;
    }
    FLEET_CHECK(tx.prepare(kForgetModel).bind_all(record.n, known->first).run());
    known = record.models.erase(known);
  }
  return {};
}

}  // namespace fleet::delivery
