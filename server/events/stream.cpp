#include "server/events/stream.hpp"

#include "server/events/queries.hpp"

namespace fleet::events {

Result<std::vector<Event>> list_events(db::Connection& reader, std::int64_t after, int limit) {
  auto row = reader.prepare(kEvents);
  row.bind_all(after, limit);
  std::vector<Event> out;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    out.push_back({row.int64(0), from_unix_ms(row.int64(1)), row.text(2), row.text(3), row.text(4), row.text(5)});
  }
}

Result<std::int64_t> last_event(db::Connection& reader) {
  auto row = reader.prepare(kLastEvent);
  FLEET_CHECK(row.step());
  return row.int64(0);
}

}  // namespace fleet::events
