#include "server/telemetry/outbox.hpp"

#include "server/telemetry/queries.hpp"
#include "server/telemetry/sketches.hpp"

namespace fleet::telemetry {
namespace {

Result<std::optional<Batch>> load_batch(store::Tx& tx) {
  auto row = tx.prepare(kGetBatch);
  FLEET_TRY(bool const found, row.step());
  return found ? std::optional(Batch{row.int64(0), row.int64(1)}) : std::nullopt;
}

/// The number of the last of the oldest rows; nothing: none wait.
Result<std::optional<std::int64_t>> find_end(store::Tx& tx, std::int64_t rows_max) {
  auto row = tx.prepare(kEndOfBatch);
  FLEET_TRY(bool const found, row.bind_all(rows_max).step());
  return found ? row.maybe_int64(0) : std::nullopt;
}

}  // namespace

Result<Waiting> load_waiting(db::Connection& reader) {
  auto row = reader.prepare(kWaiting);
  FLEET_TRY(bool const found, row.step());
  if (!found || row.is_null(0)) return Waiting{};
  return Waiting{row.int64(1) - row.int64(0) + 1, from_unix_ms(row.int64(2))};
}

Result<std::optional<Batch>> begin_batch(store::Tx& tx, std::int64_t flush, std::int64_t rows_max) {
  FLEET_TRY(auto const begun, load_batch(tx));
  if (begun) return begun;
  FLEET_TRY(auto const end, find_end(tx, rows_max));
  if (!end) return std::optional<Batch>();
  FLEET_CHECK(tx.prepare(kPutBatch).bind_all(flush, *end).run());
  return std::optional(Batch{flush, *end});
}

Result<Added> add_up(db::Connection& reader, Batch const& batch) {
  Added out;
  auto row = reader.prepare(kReadBatch);
  row.bind_all(batch.until);
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) break;
    ++out.rows;
    auto const series = row.int64(0);
    if (row.is_null(7)) return Error{Kind::corrupt, "series_missing", "samples wait for a series that the database does not have", "restore a backup"};
    if (!out.series.contains(series)) {
      FLEET_TRY(auto labels, read_labels(row.text_view(11)));
      out.series[series] = {row.text(7), Source{series, row.text(8), row.text(9), row.text(10), std::move(labels)}, row.text(11)};
    }
    auto& sum = out.sums[{series, row.int64(1)}];
    sum.add(row.int64(2), row.real(3), row.real(4), row.real(5));
    FLEET_TRY(auto const buckets, decode_buckets(row.text_view(6)));
    sum.sketch.merge(stats::Sketch(buckets));
  }
  for (auto& [place, sum] : out.sums) sum.sketch.collapse(kBucketsOfSketch);
  return out;
}

Result<bool> end_batch(store::Tx& tx, Batch const& batch, std::int64_t rows) {
  // Asked before anything is dropped: a job that answers false has changed nothing.
  FLEET_TRY(auto const there, tx.prepare(kCountBatch).bind_all(batch.flush, batch.until).returned());
  if (there != rows) return false;
  FLEET_TRY(auto const dropped, tx.prepare(kDropBatchRows).bind_all(batch.until).affected());
  if (dropped != rows) return Error{Kind::conflict, "batch_changed", "other rows of the outbox came in between", "it is sent again"};
  FLEET_CHECK(tx.prepare(kDropBatch).bind_all(batch.flush).run());
  return true;
}

Result<bool> move_to_outbox(store::Tx& tx, SysTime now, int rows) {
  FLEET_TRY(auto const moved, tx.prepare(kMoveIntervals).bind_all(to_unix_ms(now), rows).affected());
  FLEET_TRY(auto const dropped, tx.prepare(kDropOldest).bind_all(rows).affected());
  if (moved != dropped) return Error{Kind::conflict, "intervals_changed", "another server wrote intervals in between", "it goes on by itself"};
  return moved == rows;
}

}  // namespace fleet::telemetry
