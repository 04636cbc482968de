#pragma once

#include "core/trust/audit_chain.hpp"
#include "server/events/deed.hpp"
#include "server/store/store.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::events {

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

/// Appends to the hash-chained audit log (core/trust/audit_chain.hpp), in the same transaction as the change itself.
Result<void> append(store::Tx& tx, Entry const& entry);
/// Appends to `events` (what /events and webhooks send), and wakes listeners after the commit. Where something happened to a device with a model, the
/// data's member `model` says so: who may not see the model does not see the event.
Result<void> emit(store::Tx& tx, SysTime time, std::string_view type, std::string_view subject, std::string_view actor, std::string_view data_json);
/// Both: what every change of state by a person does.
Result<void> record(store::Tx& tx, Entry const& entry);
/// The same of a deed. @param before, after  JSON, or empty
Result<void> record(store::Tx& tx, Deed const& deed, std::string action, std::string subject, std::string before = {}, std::string after = {});

/// A signed head of the chain: `envelope` is the DSSE of a trust::Checkpoint.
struct KeptCheckpoint {
  std::int64_t seq = 0;
  SysTime time{};
  std::string envelope;
};
/// Signs the head, unless it is signed already. The log is never empty: `init` writes its first entry.
Result<KeptCheckpoint> checkpoint(store::Tx& tx, crypto::SigningKey const& key, SysTime now);

/// Number of the newest entry.
[[nodiscard]] Result<std::int64_t> last_sequence(db::Connection& reader);
/// How many entries no checkpoint covers yet.
[[nodiscard]] Result<std::int64_t> count_unsigned(db::Connection& connection);

/// What entries must be, exactly; empty: anything.
struct Filter {
  std::string actor = {}, action = {}, subject = {};
  SysTime since{};
};
/// Entries after number `after`, at most `limit`; the same of checkpoints. With a filter it may read the whole log: not on an io thread.
[[nodiscard]] Result<std::vector<trust::AuditEntry>> list(db::Connection& reader, std::int64_t after, int limit, Filter const& filter = {});
[[nodiscard]] Result<std::vector<KeptCheckpoint>> list_checkpoints(db::Connection& reader, std::int64_t after, int limit);

/// Walks the whole chain and, with a key, its checkpoints. @errors corrupt: names the first entry that is missing or changed; signature
[[nodiscard]] Result<void> verify(db::Connection& reader, std::optional<crypto::PublicKey> const& key);

}  // namespace fleet::events
