#include "server/rollout/shell/verbs.hpp"

#include "server/events/audit.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/engine/verdict_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

/// The verbs that concern single devices: retry and unhold.
namespace fleet::rollout {
namespace {

Result<std::int64_t> find_device(store::Tx& tx, std::string const& id) {
  auto row = tx.prepare(queries::kFindDevice);
  row.bind_all(id);
  FLEET_TRY(bool const found, row.step());
  if (!found)
    return Error{Kind::not_found, "unknown_device", fmt::format("there is no device {}", id.substr(0, 128)), "fleetctl device list shows what there is"};
  return row.int64(0);
}

Result<void> retry_device(store::Tx& tx, Rollout const& rollout, std::string const& device, events::Deed const& deed) {
  FLEET_TRY(auto const device_n, find_device(tx, device));
  {
    auto row = tx.prepare(queries::kRow);
    row.bind_all(rollout.n, device_n);
    FLEET_TRY(bool const found, row.step());
    if (!found)
      return Error{Kind::not_found, "not_in_rollout", fmt::format("device {} was not told of rollout {}", device, rollout.id),
                   fmt::format("fleetctl device explain {}", device)};
  }
  auto row = tx.prepare(queries::kRetryDevice);
  row.bind_all(rollout.n, device_n);
  FLEET_TRY(auto const retried, row.affected());
  if (retried == 0) return {};  // it did not fail, or is retried already
  FLEET_CHECK(raise_device(tx, device_n));
  return events::record(tx, deed, "rollout.device_retried", "rollout/" + rollout.id, "", fmt::format(R"({{"device":"{}"}})", device));
}

/// Those that failed the attempt of now, and the highest of theirs: who failed an earlier one is to try again already.
struct FailedNow {
  std::int64_t devices = 0, attempt = 0;
};
Result<FailedNow> count_failed(store::Tx& tx, Rollout const& rollout) {
  auto row = tx.prepare(queries::kCountFailed);
  row.bind_all(rollout.n, rollout.attempt);
  FLEET_TRY(bool const found, row.step());
  return found ? FailedNow{row.int64(0), row.maybe_int64(1).value_or(0)} : FailedNow{};
}

}  // namespace

Result<Rollout> retry(store::Tx& tx, std::string_view id, std::string const& device, events::Deed const& deed) {
  FLEET_TRY(auto rollout, load_rollout(tx.connection(), id));
  if (!next_state(rollout.state, Event::retry)) return wrong_state(rollout, "retry");
  if (!device.empty()) {
    FLEET_CHECK(retry_device(tx, rollout, device, deed));
    return load_rollout(tx.connection(), rollout.n);
  }
  FLEET_TRY(auto const failed, count_failed(tx, rollout));
  if (failed.devices == 0) return rollout;
  if (rollout.state == State::completed) {  // it covers devices again: nothing else may
    FLEET_TRY(auto const conflicts, find_conflicts(tx.connection(), rollout.model, rollout.version, rollout.selector, rollout.id));
    if (!conflicts.empty() && !deed.model.empty() && conflicts[0].model != deed.model) return unnamed_overlap(conflicts[0]);
    if (!conflicts.empty())
      return Error{Kind::conflict, "rollout_overlaps",
                   fmt::format("rollout {} of {} is {} and may cover the same devices", conflicts[0].rollout, conflicts[0].model, conflicts[0].state),
                   "wait for it to end"};
    rollout.ended_at = std::nullopt;
  }
  rollout.attempt = std::max(rollout.attempt, failed.attempt) + 1;  // a device may have tried more often than the others
  rollout.full = false;
  auto const window = rollout.progress.current();
  rollout.progress = {};  // what its windows show begins anew; they count on, so that controls prove again beside those who try again
  rollout.progress.window = window;
  std::erase_if(rollout.latches, [](auto const&) { return true; });
  rollout.verdict = noted(rollout.verdict, "retry", fmt::format("{} failed devices, attempt {}, by {}", failed.devices, rollout.attempt, deed.actor), deed.at);
  enter_stage(rollout, 1, deed.at);
  FLEET_CHECK(transition(tx, rollout, Event::retry, deed));
  return rollout;
}

Result<int> unhold(store::Tx& tx, std::string const& device, std::string const& model, events::Deed const& deed) {
  FLEET_TRY(auto const device_n, find_device(tx, device));
  std::vector<std::int64_t> rollouts;
  {
    auto rows = tx.prepare(queries::kUnholdModels);
    rows.bind_all(device_n, model);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      rollouts.push_back(rows.int64(1));
    }
  }
  std::int64_t raised = 0;
  for (auto const n : rollouts) {
    FLEET_TRY(auto const rollout, load_rollout(tx.connection(), n));
    FLEET_TRY(auto const service, load_service_time(tx.connection()));
    auto row = tx.prepare(queries::kUnholdRow);
    row.bind_all(n, device_n, to_unix_ms(deed.at), service.count(), rollout.model, service.count());
    FLEET_TRY(auto const changed, row.affected());
    raised += changed;
  }
  if (raised == 0) return static_cast<int>(rollouts.size());
  FLEET_CHECK(raise_device(tx, device_n));
  FLEET_CHECK(events::record(tx, deed, "device.unheld", "device/" + device, "",
                                 fmt::format(R"({{"model":"{}","targets":{}}})", model, raised)));
  return static_cast<int>(rollouts.size());
}

}  // namespace fleet::rollout
