#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fleet::test {

inline constexpr db::Migration kMigrations[] = {
#include "server/store/migrations.inc"
};

inline void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }

/// A database in a folder of its own.
struct Database {
  std::filesystem::path dir = std::filesystem::temp_directory_path() / make_ulid("fleet-schema-", 0, system_random());
  db::Connection connection = open(dir);

  Database() = default;
  ~Database() { std::filesystem::remove_all(dir); }
  Database(Database const&) = delete;

  void reopen() { connection = open(dir); }
  void migrate(std::span<db::Migration const> migrations) { must(sqlite::migrate(connection, migrations)); }
  std::vector<std::string> lines(std::string const& sql) {
    std::vector<std::string> out;
    auto rows = connection.prepare({sql, sql});
    while (*rows.step()) out.push_back(rows.text(0));
    return out;
  }

private:
  static db::Connection open(std::filesystem::path const& dir) {
    std::filesystem::create_directories(dir);
    auto opened = sqlite::open((dir / "fleet.db").string(), sqlite::Mode::read_write);
    REQUIRE(opened.has_value());
    return std::move(*opened);
  }
};

}  // namespace fleet::test
