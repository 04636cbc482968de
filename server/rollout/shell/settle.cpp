#include "server/rollout/shell/settle.hpp"

#include "server/rollout/shell/queries.hpp"

#include <vector>

namespace fleet::rollout {
namespace {

Result<std::vector<std::int64_t>> list_unsettled(db::Connection& reader) {
  std::vector<std::int64_t> out;
  auto rows = reader.prepare(queries::kUnsettled);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.int64(0));
  }
}

/// It may have been taken back meanwhile, which begins anew: where it goes on, the row alone knows.
Result<bool> settle_next(store::Tx& tx, std::int64_t rollout_n, SysTime now) {
  std::optional<std::int64_t> after;
  {
    auto row = tx.prepare(queries::kSettledTo);
    row.bind(1, rollout_n);
    FLEET_TRY(bool const found, row.step());
    if (found) after = row.maybe_int64(0);
  }
  if (!after) return false;
  FLEET_TRY(auto const rollout, load_rollout(tx.connection(), rollout_n));
  bool const ended = rollout.state == State::aborted || rollout.state == State::rolling_back || rollout.state == State::rolled_back ||
                     (rollout.against && rollout.state == State::completed);
  if (ended) return settle_rows(tx, rollout, now, *after);
  FLEET_CHECK(tx.prepare(queries::kSetSettled).bind_all(rollout_n, nullptr).run());  // it goes on: its rows speak for themselves again
  return false;
}

}  // namespace

Result<bool> settle_rows(store::Tx& tx, Rollout const& rollout, SysTime now, std::int64_t after) {
  std::optional<std::int64_t> last;
  bool more = false;
  {
    auto piece = tx.prepare(queries::kPieceOfRows);
    piece.bind_all(rollout.n, after, kRowsAPiece);
    FLEET_CHECK(piece.step());
    last = piece.maybe_int64(0);
    more = piece.int64(1) == kRowsAPiece;
  }
  if (last) {
    auto drop = tx.prepare(queries::kDropUnswitched);
    drop.bind_all(rollout.n, after, *last, to_unix_ms(now));
    FLEET_CHECK(drop.run());
  }
  bool const taken_back = rollout.state == State::rolling_back || rollout.state == State::rolled_back;
  for (auto const arm : {Arm::canary, Arm::against})
    if (last && taken_back && (arm == Arm::canary || rollout.against) && !rollout.keeps(arm)) {
      auto returned = tx.prepare(queries::kCountReturned);
      returned.bind_all(rollout.n, after, *last, to_unix_ms(now), rollout.model, rollout.version_of(arm), to_string(arm));
      FLEET_CHECK(returned.run());
      auto before = tx.prepare(queries::kCountRanBefore);
      before.bind_all(rollout.n, after, *last, to_unix_ms(now), rollout.version_of(arm), rollout.shipped(arm).digest, to_string(arm));
      FLEET_CHECK(before.run());
    }
  auto settled = tx.prepare(queries::kSetSettled);
  settled.bind_all(rollout.n, more ? last : std::nullopt);
  FLEET_CHECK(settled.run());
  return more;
}

Result<bool> settle_more(store::Store& store, SysTime now) {
  FLEET_TRY(auto const unsettled, list_unsettled(store.reader()));
  bool more = false;
  for (auto const n : unsettled) {
    FLEET_TRY(bool const has_more, store.write_value<bool>(store::Lane::upkeep, [&](store::Tx& tx) { return settle_next(tx, n, now); }));
    more = more || has_more;
  }
  return more;
}

}  // namespace fleet::rollout
