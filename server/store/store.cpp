#include "server/store/store.hpp"

#include "server/store/place.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/queries.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite/sqlite.hpp"
#include "server/store/threaded_store.hpp"

namespace fleet::store {
Result<std::unique_ptr<Store>> Store::open(std::string const& place, Clock& clock, std::string const& node) {
  if (is_url(place)) {
    auto const reach = std::make_shared<postgres::Reach>();
    FLEET_TRY(auto connection, node.empty() ? postgres::open(place, postgres::Mode::alone, reach) : postgres::open_node(place, node, reach));
    FLEET_CHECK(postgres::migrate(connection, postgres_migrations()));
    auto const open_reader = [place, reach] { return Result<db::Connection>(postgres::reader(place, reach)); };
    return std::unique_ptr<Store>(std::make_unique<ThreadedStore>(place, open_reader, std::move(connection), node, clock));
  }
  FLEET_TRY(auto connection, sqlite::open(sqlite_file(place), sqlite::Mode::read_write));
  FLEET_CHECK(sqlite::migrate(connection, sqlite_migrations()));
  auto const open_reader = [place] { return sqlite::open(sqlite_file(place), sqlite::Mode::read_only); };
  return std::unique_ptr<Store>(std::make_unique<ThreadedStore>(place, open_reader, std::move(connection), std::string(), clock));
}

Result<void> ping(db::Connection& reader) {
  auto row = reader.prepare(kPing);
  row.bind(1, "ready");
  FLEET_CHECK(row.step());
  return {};
}

}  // namespace fleet::store
