#pragma once

#include "core/base/result.hpp"
#include "server/store/db/db.hpp"

#include <cstdint>
#include <string>
#include <vector>

/// What commands do with a whole database, wherever it is (server/store/place.hpp), past the store.
namespace fleet::store {

/// A connection of its own that only reads: a server may run, and nothing is mended silently. @errors not_found, unavailable, conflict (`other_schema`: what this
/// program does not know, or must bring up to date first)
Result<db::Connection> open_to_read(std::string const& place);

/// Of a URL: it is one, and nobody's tables are there but ours, which hold nothing yet. @errors bad_input (`bad_database`), conflict (`database_not_empty`), those of
/// postgres::open
Result<void> check_empty(std::string const& place);
/// @errors bad_input (`bad_database`)
Result<void> check_url(std::string const& url);

/// What the engine finds wrong with its files; of PostgreSQL nothing, for that is its administrator's (pg_amcheck(1)).
Result<std::vector<std::string>> check(std::string const& place, db::Connection& connection);

/// A new file of SQLite with what the database holds at one moment; it may be written to meanwhile. @errors those of `transfer`
Result<void> copy(std::string const& place, std::string const& file);

struct Transferred {
  std::size_t tables = 0;
  std::uint64_t rows = 0;
};
/// Brings every row into a database that holds none, of the other engine, and compares all of them before it commits.
/// @param from, to  one of them is a folder, the other a URL. Nobody writes to `from` meanwhile
/// @errors conflict (`database_not_empty`, `database_in_use`), corrupt (`rows_differ`), what the other engine does not take (`nul_in_text`), those of the engines
Result<Transferred> transfer(std::string const& from, std::string const& to);

}  // namespace fleet::store
