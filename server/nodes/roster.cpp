#include "server/nodes/roster.hpp"

#include "server/nodes/queries.hpp"

namespace fleet::nodes {
namespace {

Error unknown(std::string const& id) {
  return {Kind::not_found, "unknown_node", "there is no node " + id, "list them: fleetctl node list; a server joins by fleet-server node join"};
}

Result<void> one(db::Statement& statement, std::string const& id) {
  FLEET_TRY(auto const affected, statement.affected());
  return affected == 1 ? Result<void>{} : unknown(id);
}

}  // namespace

Result<std::vector<Node>> list_nodes(db::Connection& reader) {
  std::vector<Node> out;
  auto rows = reader.prepare(kListNodes);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back({rows.text(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4), from_unix_ms(rows.int64(5)), from_unix_ms(rows.int64(6)), rows.int64(7), rows.int64(8),
                   rows.int64(9)});
  }
}

Result<void> add_node(store::Tx& tx, std::string const& id, std::string const& host, SysTime now) {
  return tx.prepare(kAddNode).bind_all(id, host, to_unix_ms(now)).run();
}

Result<void> remove_node(store::Tx& tx, std::string const& id) {
  auto remove = tx.prepare(kRemoveNode);
  remove.bind(1, id);
  return one(remove, id);
}

Result<void> note_beat(store::Tx& tx, Node const& node) {
  auto beat = tx.prepare(kBeat);
  beat.bind_all(node.id, node.host, node.version, node.api, node.devices, to_unix_ms(node.seen_at), node.promised, node.came);
  return one(beat, node.id);
}

Result<void> forget_nodes(store::Tx& tx) {
  FLEET_CHECK(tx.prepare(kForgetNodes).run());
  return tx.prepare(kForgetKeys).run();
}

}  // namespace fleet::nodes
