#pragma once

#include "core/wire/device.hpp"
#include "server/store/store.hpp"

#include <map>
#include <set>
#include <span>
#include <string>

namespace fleet::delivery {

/// What the database holds of a device that a poll or a report may change.
struct DeviceRecord {
  std::int64_t n = 0;
  std::string id;
  std::string state;  ///< active | revoked | retired
  std::string hardware;
  std::string agent;
  std::string boot_id;
  std::int64_t sequence = 0;  ///< of its newest directive
  std::int64_t reserved = 0;  ///< the highest that a bundle took: the next directive is above it
  std::string targets;        ///< of that directive, as wire::encode_targets gave them
  std::string collect;        ///< of that directive, as wire::encode_collect gave it
  SysTime not_after{};  ///< of its newest certificate
  std::map<std::string, wire::ModelStatus> models;
  std::set<std::string> strangers;  ///< models that its poll names and nobody made: remembered with the decision, never recorded
};

/// @errors unauthenticated (code `unknown_device`: it was deleted), forbidden (`device_revoked`, `device_retired`)
[[nodiscard]] Result<DeviceRecord> load_record(db::Connection& reader, std::int64_t device_n);
/// What was acknowledged of the reports of many devices (at most db::kSetMax), by their number; of the others nothing was.
[[nodiscard]] Result<std::map<std::int64_t, wire::ByTier<std::int64_t>>> load_tiers(db::Connection& reader, std::span<std::int64_t const> devices);
/// Which of the models that a poll names nobody made.
Result<void> find_strangers(db::Connection& reader, DeviceRecord& record, wire::PollRequest const& poll);
/// True when the poll tells nothing that is not recorded.
[[nodiscard]] bool is_recorded(DeviceRecord const& record, wire::PollRequest const& poll);
/// Records what a poll tells, and puts it into `record`. A model that the poll does not name is gone from the device.
Result<void> record_poll(store::Tx& tx, DeviceRecord& record, wire::PollRequest const& poll, SysTime now);

}  // namespace fleet::delivery
