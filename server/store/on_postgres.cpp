#include "server/store/on_postgres.hpp"

#include "server/store/postgres/postgres.hpp"
#include "server/store/threaded_store.hpp"

namespace fleet::store {
namespace {

constexpr db::Migration kMigrations[] = {
#include "server/store/postgres_migrations.inc"
};

Result<db::Connection> open_reader(std::string const& url) { return postgres::open(url, postgres::Mode::read_only); }

}  // namespace

Result<std::unique_ptr<Store>> open_on_postgres(std::string const& url, Clock& clock) {
  FLEET_TRY(auto connection, postgres::open(url, postgres::Mode::read_write));
  FLEET_CHECK(postgres::migrate(connection, kMigrations));
  return std::unique_ptr<Store>(std::make_unique<ThreadedStore>(url, &open_reader, std::move(connection), clock));
}

}  // namespace fleet::store
