#include "server/store/transfer/transfer.hpp"

#include "server/store/place.hpp"
#include "server/store/postgres/bulk.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/transfer/rows.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite/bulk.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace fleet::store {
namespace {

/// A moment of PostgreSQL's, for as long as it takes to read all of it.
constexpr std::string_view kMoment = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
constexpr std::string_view kFill = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

Error in_table(Error error, Table const& table) {
  error.detail = fmt::format("table {}: {}", table.name, error.detail);
  return error;
}

/// Migrations may have left rows of their own.
Result<void> clear(db::Connection& to, std::span<Table const> tables) {
  for (auto table = tables.rbegin(); table != tables.rend(); ++table) FLEET_CHECK(to.script(fmt::format("DELETE FROM \"{}\"", table->name)));
  return {};
}

Result<std::uint64_t> copy_rows(db::Connection& from, db::Connection& to, Table const& table) {
  std::uint64_t copied = 0;
  for (Pages pages(from, table);;) {
    FLEET_TRY(auto const rows, pages.next());
    if (rows.empty()) return copied;
    FLEET_CHECK(put(to, table, rows));
    copied += rows.size();
  }
}

Result<void> compare_rows(db::Connection& from, db::Connection& to, Table const& table) {
  Pages expected(from, table), found(to, table);
  for (std::uint64_t place = 0;;) {
    FLEET_TRY(auto const theirs, expected.next());
    FLEET_TRY(auto const ours, found.next());
    if (theirs != ours) return Error{Kind::corrupt, "rows_differ", fmt::format("row {} or one of the {} after it is not what was read", place + 1, theirs.size())};
    if (ours.empty()) return {};
    place += ours.size();
  }
}

/// Fills `to`, whose triggers do not run, and compares.
Result<Transferred> fill_tables(db::Connection& from, db::Connection& to, std::span<Table const> tables) {
  Transferred out;
  FLEET_CHECK(clear(to, tables));
  for (auto const& table : tables) {
    auto const copied = copy_rows(from, to, table);
    if (!copied) return in_table(copied.error(), table);
    if (auto const same = compare_rows(from, to, table); !same) return in_table(same.error(), table);
    ++out.tables;
    out.rows += *copied;
  }
  return out;
}

/// @param postgres  in a transaction that sees one moment
Result<Transferred> into_sqlite(db::Connection& postgres, std::string const& file) {
  FLEET_TRY(auto to, sqlite::open(file, sqlite::Mode::read_write));
  FLEET_CHECK(sqlite::migrate(to, sqlite_migrations()));
  FLEET_TRY(auto const tables, tables_of(to));
  FLEET_CHECK(to.script("BEGIN IMMEDIATE"));
  FLEET_TRY(auto const triggers, sqlite::drop_triggers(to));
  FLEET_TRY(auto const out, fill_tables(postgres, to, tables));
  for (auto const& trigger : triggers) FLEET_CHECK(to.script(trigger));
  FLEET_TRY(auto const numbered, sqlite::numbered_tables(to));
  for (auto const& table : tables) {
    if (std::find(numbered.begin(), numbered.end(), table.name) == numbered.end()) continue;
    FLEET_TRY(auto const last, postgres::last_number(postgres, table.name, table.columns[table.key.front()].name));
    FLEET_CHECK(sqlite::go_on_from(to, table.name, last));
  }
  FLEET_CHECK(to.script("COMMIT"));
  return out;
}

Result<Transferred> into_postgres(std::string const& dir, std::string const& url) {
  FLEET_TRY(auto to, postgres::open(url, postgres::Mode::alone));
  FLEET_CHECK(postgres::check_empty(to));
  FLEET_CHECK(postgres::migrate(to, postgres_migrations()));
  FLEET_TRY(auto from, sqlite::open(sqlite_file(dir), sqlite::Mode::read_write));
  FLEET_CHECK(sqlite::migrate(from, sqlite_migrations()));
  FLEET_TRY(auto const tables, tables_of(from));
  FLEET_CHECK(from.script("BEGIN"));
  FLEET_CHECK(to.script(kFill));
  for (auto const& table : tables) FLEET_CHECK(postgres::set_triggers(to, table.name, false));
  FLEET_TRY(auto const out, fill_tables(from, to, tables));
  for (auto const& table : tables) {
    FLEET_CHECK(postgres::set_triggers(to, table.name, true));
    FLEET_TRY(auto const last, sqlite::last_number(from, table.name));
    FLEET_CHECK(postgres::go_on_from(to, table.name, table.columns[table.key.front()].name, last));
  }
  FLEET_CHECK(to.script("COMMIT"));
  FLEET_CHECK(to.script("ANALYZE"));
  return out;
}

/// A connection that only reads would be made anew where it breaks, and go on in another moment.
Result<Transferred> from_postgres(db::Connection from, std::string const& file) {
  FLEET_CHECK(from.script(kMoment));
  return into_sqlite(from, file);
}

}  // namespace

Result<void> copy(std::string const& place, std::string const& file) {
  if (!is_url(place)) return sqlite::copy(sqlite_file(place), file);
  FLEET_CHECK(open_to_read(place));
  FLEET_TRY(auto from, postgres::open(place, postgres::Mode::read_write));
  FLEET_CHECK(from_postgres(std::move(from), file));
  return {};
}

Result<Transferred> transfer(std::string const& from, std::string const& to) {
  if (is_url(to)) return into_postgres(from, to);
  FLEET_TRY(auto connection, postgres::open(from, postgres::Mode::alone));
  FLEET_CHECK(postgres::migrate(connection, postgres_migrations()));
  return from_postgres(std::move(connection), sqlite_file(to));
}

}  // namespace fleet::store
