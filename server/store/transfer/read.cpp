#include "server/store/transfer/transfer.hpp"

#include "server/store/place.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>

namespace fleet::store {

namespace {

Result<void> check_schema(std::int64_t version) {
  auto const newest = sqlite_migrations().back().number;
  if (version == newest) return {};
  return Error{Kind::conflict, "other_schema", fmt::format("the database has schema {}, this program knows {}", version, newest),
               version < newest ? "fleet-server run brings it up to date" : "use the newer program"};
}

}  // namespace

Result<db::Connection> open_to_read(std::string const& place) {
  FLEET_TRY(auto connection, is_url(place) ? postgres::open(place, postgres::Mode::read_only) : sqlite::open(sqlite_file(place), sqlite::Mode::read_only));
  FLEET_TRY(auto const version, is_url(place) ? postgres::schema_version(connection) : sqlite::schema_version(connection));
  FLEET_CHECK(check_schema(version));
  return connection;
}

Result<void> check_empty(std::string const& place) {
  if (!is_url(place)) return {};
  FLEET_TRY(auto connection, postgres::open(place, postgres::Mode::read_only));
  return postgres::check_empty(connection);
}

Result<void> check_url(std::string const& url) { return postgres::check_url(url); }

Result<std::vector<std::string>> check(std::string const& place, db::Connection& connection) {
  if (is_url(place)) return std::vector<std::string>();
  return sqlite::check(connection);
}

}  // namespace fleet::store
