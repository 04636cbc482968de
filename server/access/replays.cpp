#include "server/access/replays.hpp"

#include "server/access/queries.hpp"

namespace fleet::access {

Result<std::optional<Replay>> find_replay(db::Connection& reader, std::string_view actor, std::string_view key, SysTime since) {
  auto row = reader.prepare(queries::kReplay);
  row.bind_all(actor, key, to_unix_ms(since));
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<Replay>{};
  return std::optional(Replay{row.digest(0), static_cast<int>(row.int64(1)), row.text(2), row.text(3)});
}

Result<void> keep_replay(store::Tx& tx, std::string_view actor, std::string_view key, Replay const& replay, SysTime now) {
  return tx.prepare(queries::kKeepReplay).bind_all(actor, key, replay.request, replay.status, replay.headers, replay.body, to_unix_ms(now)).run();
}

Result<bool> begin_use(store::Tx& tx, std::string_view actor, std::string_view key, std::string_view node, std::function<bool(std::string_view)> const& lives, SysTime now) {
  {
    auto row = tx.prepare(queries::kUseUnderWay);
    FLEET_TRY(bool const found, row.bind_all(actor, key).step());
    if (found && row.text_view(0) != node && lives(row.text_view(0))) return false;
  }
  FLEET_CHECK(tx.prepare(queries::kBeginUse).bind_all(actor, key, node, to_unix_ms(now)).run());
  return true;
}

Result<void> end_use(store::Tx& tx, std::string_view actor, std::string_view key, std::string_view node) {
  return tx.prepare(queries::kEndUse).bind_all(actor, key, node).run();
}

}  // namespace fleet::access
