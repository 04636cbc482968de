#include "server/store/transfer/transfer.hpp"

#include "server/store/place.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>

namespace fleet::store {

Result<db::Connection> open_to_read(std::string const& place) {
  FLEET_TRY(auto connection, is_url(place) ? postgres::open(place, postgres::Mode::read_only) : sqlite::open(sqlite_file(place), sqlite::Mode::read_only));
  FLEET_TRY(auto const version, is_url(place) ? postgres::schema_version(connection) : sqlite::schema_version(connection));
  auto const newest = sqlite_migrations().back().number;
  if (version == newest) return connection;
  return Error{Kind::conflict, "other_schema", fmt::format("the database has schema {}, this program knows {}", version, newest),
               version < newest ? "fleet-server run brings it up to date" : "use the newer program"};
}

Result<void> check_empty(std::string const& place) { return is_url(place) ? postgres::check_empty(place) : Result<void>(); }

Result<std::vector<std::string>> check(std::string const& place, db::Connection& connection) {
  if (is_url(place)) return std::vector<std::string>();
  return sqlite::check(connection);
}

}  // namespace fleet::store
