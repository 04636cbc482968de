#pragma once

#include "server/store/store.hpp"

#include <string>

/// What a backup brought back (docs/protocol.md, Restore).
namespace fleet::rollout {

/// In the transaction that restores: what runs is paused, and nothing that started before sends a device back until a person resumes it.
[[nodiscard]] Result<void> hold_restored(store::Tx& tx, SysTime now);
/// What differs since: `{"restored_at","rollouts":[{"id","model","version","state"}],"releases":[{"model","version","digest","devices","example"}],
/// "lost_rollouts":[{"id","devices","example"}]}`: rollouts that wait for a person; what devices run, and which rollouts they name, that this server
/// does not know. Reads every device's models: not for an io thread.
[[nodiscard]] Result<std::string> restored_json(db::Connection& reader);

}  // namespace fleet::rollout
