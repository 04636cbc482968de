#pragma once

#include "server/store/db/db.hpp"

#include <span>
#include <string>
#include <vector>

namespace fleet::sqlite {

enum class Mode { read_only, read_write };

/// WAL, synchronous=FULL, foreign keys on, busy time-out 5 s; the log is copied into the database by `settle` alone.
/// @errors not_found (cannot_open_database), corrupt
Result<db::Connection> open(std::string const& path, Mode mode);

/// Brings the schema to the newest; each migration in a transaction of its own with `PRAGMA user_version`.
/// @errors conflict (the database is newer than this program), io
Result<void> migrate(db::Connection& connection, std::span<db::Migration const> migrations);

/// The number of its newest migration; 0: none.
Result<std::int64_t> schema_version(db::Connection& connection);

/// Copies a whole database, which may be written to meanwhile, into a new file with SQLite's backup API.
Result<void> copy(std::string const& from, std::string const& to);

/// PRAGMA integrity_check and foreign_key_check; the findings, empty when sound.
Result<std::vector<std::string>> check(db::Connection& connection);

}  // namespace fleet::sqlite
