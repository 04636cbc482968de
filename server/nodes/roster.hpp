#pragma once

#include "server/store/store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace fleet::nodes {

/// A server of the fleet, as the database has it.
struct Node {
  std::string id, host, version;
  std::string api, devices;  ///< URLs of its listeners; empty: it never ran
  SysTime joined_at{}, seen_at{};
  std::int64_t beat = 0;
  std::int64_t promised = 0, came = 0;  ///< contacts of devices, as rollout::ServiceClock::kept has them
};
/// In the order in which they joined.
[[nodiscard]] Result<std::vector<Node>> list_nodes(db::Connection& reader);
Result<void> add_node(store::Tx& tx, std::string const& id, std::string const& host, SysTime now);
/// @errors not_found (`unknown_node`)
Result<void> remove_node(store::Tx& tx, std::string const& id);
/// Counts one beat more. @errors not_found (`unknown_node`: it was removed)
Result<void> note_beat(store::Tx& tx, Node const& node);
/// Nobody is a node any more, and no key is shared: after a restore.
Result<void> forget_nodes(store::Tx& tx);

}  // namespace fleet::nodes
