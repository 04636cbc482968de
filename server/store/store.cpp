#include "server/store/store.hpp"

#include "server/store/queries.hpp"
#include "server/store/sqlite/sqlite.hpp"
#include "server/store/threaded_store.hpp"

namespace fleet::store {
namespace {

constexpr db::Migration kMigrations[] = {
#include "server/store/migrations.inc"
};

Result<db::Connection> open_reader(std::string const& path) { return sqlite::open(path, sqlite::Mode::read_only); }

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::string const& data_dir, Clock& clock) {
  auto path = data_dir + "/fleet.db";
  FLEET_TRY(auto connection, sqlite::open(path, sqlite::Mode::read_write));
  FLEET_CHECK(sqlite::migrate(connection, kMigrations));
  return std::unique_ptr<Store>(std::make_unique<ThreadedStore>(std::move(path), &open_reader, std::move(connection), clock));
}

Result<void> ping(db::Connection& reader) {
  auto row = reader.prepare(kPing);
  row.bind(1, "ready");
  FLEET_CHECK(row.step());
  return {};
}

}  // namespace fleet::store
