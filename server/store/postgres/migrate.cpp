#include "server/store/postgres/postgres.hpp"

#include <fmt/format.h>

namespace fleet::postgres {
namespace {

/// What several nodes that start at once wait for; any number that nobody else takes.
constexpr std::string_view kBegin =
    "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(4992030524978970960); "
    // Who waits for a table holds up all that come after it.
    "SET LOCAL lock_timeout = '200ms'; CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL)";

constexpr std::string_view kMigrated = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('schema_migrations')";
constexpr std::string_view kVersion = "SELECT coalesce(max(number), 0) FROM schema_migrations";

/// In a transaction that holds the lock. True: it was applied.
Result<bool> apply(db::Connection& connection, db::Migration const& migration) {
  FLEET_TRY(auto const version, schema_version(connection));
  if (migration.number <= version) return false;
  FLEET_CHECK(connection.script(migration.sql));
  FLEET_CHECK(connection.prepare({"note_migration", "INSERT INTO schema_migrations (number, name) VALUES (?1, ?2)"}).bind_all(migration.number, migration.name).run());
  return true;
}

}  // namespace

Result<std::int64_t> schema_version(db::Connection& connection) {
  FLEET_TRY(auto const migrated, connection.prepare({"is_migrated", kMigrated}).returned());
  if (migrated == 0) return 0;
  return connection.prepare({"schema_version", kVersion}).returned();
}

Result<void> migrate(db::Connection& connection, std::span<db::Migration const> migrations) {
  for (auto const& migration : migrations) {
    FLEET_CHECK(connection.script(kBegin));
    auto applied = apply(connection, migration);
    if (applied) {
      FLEET_CHECK(connection.script("COMMIT"));
      continue;
    }
    auto error = applied.error();
    error.detail = fmt::format("migration {}: {}", migration.name, error.detail);
    if (auto const undone = connection.script("ROLLBACK"); !undone) error.detail += "; " + undone.error().detail;
    return error;
  }
  FLEET_TRY(auto const version, schema_version(connection));
  std::int64_t const newest = migrations.empty() ? 0 : migrations.back().number;
  if (version > newest)
    return Error{Kind::conflict, "database_is_newer", fmt::format("the database has schema {}, this program knows {}", version, newest), "run the newer program"};
  return {};
}

}  // namespace fleet::postgres
