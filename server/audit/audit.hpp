#pragma once

#include "server/store/store.hpp"

#include <string>
#include <string_view>

namespace fleet::audit {

/// What happened, in words for the log.
struct Entry {
  SysTime time;
  std::string actor;        ///< token:NAME, device:ID, system:judge
  std::string action;       ///< rollout.paused
  std::string subject;      ///< rollout/ID, device/ID, release/M@V, token/NAME
  std::string before = {};  ///< JSON, or empty
  std::string after = {};   ///< JSON, or empty
  std::string reason = {};
  std::string request_id = {};
};

/// Appends to the hash-chained audit log: hash = SHA-256(prev, length-prefixed fields), in the same transaction as the change itself.
Result<void> append(store::Tx& tx, Entry const& entry);
/// Appends to `events` (what /events and webhooks send), and wakes listeners after the commit.
Result<void> emit(store::Tx& tx, SysTime time, std::string_view type, std::string_view subject, std::string_view actor, std::string_view data_json);
/// Both: what every change of state by a person does.
Result<void> record(store::Tx& tx, Entry const& entry);

/// Walks the whole chain. @errors corrupt: names the first entry that is missing or changed
[[nodiscard]] Result<void> verify(db::Connection& reader);

}  // namespace fleet::audit
