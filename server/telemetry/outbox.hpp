#pragma once

#include "server/store/store.hpp"
#include "server/telemetry/intervals.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>

/// What waits in the database for a sink: written in the transaction of the report that brought it, gone once the sink has it.
namespace fleet::telemetry {

/// A batch is bounded by these rows: what deletes them holds up others who write.
inline constexpr std::int64_t kRowsOfBatch = 5'000;

struct Waiting {
  std::int64_t rows = 0;  ///< at most; numbers that a failed transaction left out are counted
  SysTime oldest{};       ///< when its report came; zero: nothing waits
};
[[nodiscard]] Result<Waiting> load_waiting(db::Connection& reader);

/// Rows that are sent together, under a number that is drawn once and written down first: whoever sends them again does so under the same.
struct Batch {
  std::int64_t flush = 0;
  std::int64_t until = 0;  ///< the last row's number
};
/// The batch that was begun, or else the oldest rows; nothing: none wait.
/// @param flush  of a new one; positive
[[nodiscard]] Result<std::optional<Batch>> begin_batch(store::Tx& tx, std::int64_t flush, std::int64_t rows_max = kRowsOfBatch);

/// What a batch adds up to, in the order of series and time.
struct Added {
  struct Of {
    std::string metric;
    Source source;
    std::string labels;  ///< of the source, as JSON
  };
  std::map<std::int64_t, Of> series;                          ///< by number
  std::map<std::pair<std::int64_t, std::int64_t>, Sum> sums;  ///< by series and start (ms)
  std::int64_t rows = 0;
};
/// @errors corrupt
[[nodiscard]] Result<Added> add_up(db::Connection& reader, Batch const& batch);
/// The sink has these rows: they go.
/// @returns false, and nothing has changed: the batch holds others than were read (another node's came in between), and is to be sent again; or it is gone
[[nodiscard]] Result<bool> end_batch(store::Tx& tx, Batch const& batch, std::int64_t rows);

/// Moves at most `rows` intervals, the oldest first, from the database's own tables to the outbox: what was kept before there was a sink.
/// @returns true when a step later would find more
[[nodiscard]] Result<bool> move_to_outbox(store::Tx& tx, SysTime now, int rows);

}  // namespace fleet::telemetry
