#include "server/store/sqlite/sqlite.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>

using namespace fleet;
using db::Connection;

namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / make_ulid("fleet-db-", 0, system_random())) { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(Folder const&) = delete;
  [[nodiscard]] std::string at(std::string const& name) const { return (path / name).string(); }
  std::filesystem::path path;
};

Connection open_here(std::string const& path, sqlite::Mode mode = sqlite::Mode::read_write) {
  auto opened = sqlite::open(path, mode);
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
  return std::move(*opened);
}

void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }

std::int64_t number(Connection& connection, std::string_view sql) {
  auto row = connection.prepare({"number", sql});
  REQUIRE(*row.step());
  return row.int64(0);
}

constexpr db::Query kInsert{"insert", "INSERT INTO things (id, name) VALUES (?1, ?2)"};
constexpr db::Query kSelect{"select", "SELECT id, name FROM things ORDER BY id"};

struct Things : Folder {
  Connection connection = open_here(at("fleet.db"));
  Things() { must(connection.script("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> 'no')) STRICT")); }
};

}  // namespace

TEST_CASE("a database is opened with what an acknowledged write needs") {
  Folder folder;
  auto connection = open_here(folder.at("fleet.db"));
  auto mode = connection.prepare({"journal_mode", "PRAGMA journal_mode"});
  REQUIRE(*mode.step());
  CHECK(mode.text(0) == "wal");
  CHECK(number(connection, "PRAGMA synchronous") == 2);
  CHECK(number(connection, "PRAGMA foreign_keys") == 1);
  CHECK(number(connection, "PRAGMA wal_autocheckpoint") == 0);
}

TEST_CASE("every kind of value comes back as it was bound") {
  Folder folder;
  auto connection = open_here(folder.at("fleet.db"));
  must(connection.script("CREATE TABLE v (a, b, c, d, e, f, g)"));
  Digest digest;
  digest.bytes.fill(0xab);
  std::optional<std::string> const none;
  auto insert = connection.prepare({"insert", "INSERT INTO v VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"});
  must(insert.bind_all(std::int64_t{-5}, 0.25, std::string_view("a\0b", 3), digest, none, std::string_view(), BytesView()).run());
  auto row = connection.prepare({"read", "SELECT a, b, c, d, e, f, g, typeof(f), typeof(g) FROM v"});
  REQUIRE(*row.step());
  CHECK(row.int64(0) == -5);
  CHECK(row.real(1) == 0.25);
  CHECK(row.text(2) == std::string("a\0b", 3));
  CHECK(row.digest(3) == digest);
  CHECK(row.is_null(4));
  CHECK_FALSE(row.maybe_text(4).has_value());
  CHECK(row.maybe_int64(0) == -5);
  CHECK(row.text(7) == "text");  // an empty text is no NULL
  CHECK(row.text(8) == "blob");
  CHECK(row.digest(2) == Digest{});  // not 32 bytes
}

TEST_CASE_FIXTURE(Things, "a statement is used again with other values, and inside itself") {
  for (int i = 1; i <= 3; ++i) must(connection.prepare(kInsert).bind_all(i, "thing " + std::to_string(i)).run());
  int pairs = 0;
  auto outer = connection.prepare(kSelect);
  while (*outer.step()) {
    auto inner = connection.prepare(kSelect);
    while (*inner.step()) ++pairs;
  }
  CHECK(pairs == 9);
  auto insert = connection.prepare(kInsert);
  must(insert.bind_all(4, "four").run());
  must(insert.bind_all(5, "five").run());
  CHECK(number(connection, "SELECT count(*) FROM things") == 5);
}

TEST_CASE_FIXTURE(Things, "a statement says how many rows it changed, and the number that it gives back") {
  auto add = connection.prepare({"add", "INSERT INTO things (name) VALUES (?1) ON CONFLICT DO NOTHING RETURNING id"});
  CHECK(*add.bind(1, "one").returned() == 1);
  CHECK(*add.bind(1, "two").returned() == 2);
  auto const again = add.bind(1, "two").returned();
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == "no_row");
  auto const before = connection.total_changes();
  auto rename = connection.prepare({"rename", "UPDATE things SET name = name || ?1 WHERE id >= ?2"});
  CHECK(*rename.bind_all("!", 1).affected() == 2);
  CHECK(*rename.bind_all("!", 2).affected() == 1);
  CHECK(*rename.bind_all("!", 3).affected() == 0);
  CHECK(connection.total_changes() == before + 3);
  auto const refused = rename.bind_all(nullptr, 1).affected();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "constraint");
}

TEST_CASE_FIXTURE(Things, "a statement that is let go in the middle of its rows starts anew") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  must(connection.prepare(kInsert).bind_all(2, "two").run());
  { CHECK(*connection.prepare(kSelect).step()); }
  auto again = connection.prepare(kSelect);
  REQUIRE(*again.step());
  CHECK(again.int64(0) == 1);
  // What was bound before is gone: an unbound parameter is NULL.
  auto const unbound = connection.prepare(kInsert).run();
  REQUIRE_FALSE(unbound.has_value());
  CHECK(unbound.error().code == "constraint");
}

TEST_CASE_FIXTURE(Things, "broken rules are conflicts that name the column") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  struct Case {
    int id;
    std::optional<std::string> name;
    std::string_view says;
  };
  for (auto const& [id, name, says] :
       {Case{1, "other", "things.id"}, Case{2, "one", "things.name"}, Case{2, std::nullopt, "NOT NULL"}, Case{2, "no", "CHECK"}}) {
    auto const done = connection.prepare(kInsert).bind_all(id, name).run();
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == Kind::conflict);
    CHECK(done.error().code == "constraint");
    CHECK_MESSAGE(done.error().detail.find(says) != std::string::npos, done.error().detail);
  }
  CHECK(number(connection, "SELECT count(*) FROM things") == 1);
}

TEST_CASE_FIXTURE(Things, "a full database is disk_full, takes its transaction back and stays usable") {
  must(connection.script("PRAGMA max_page_count=12; BEGIN IMMEDIATE"));
  must(connection.prepare(kInsert).bind_all(1, "small").run());
  auto const big = connection.prepare(kInsert).bind_all(2, std::string(200'000, 'x')).run();
  REQUIRE_FALSE(big.has_value());
  CHECK(big.error().code == "disk_full");
  CHECK(big.error().kind == Kind::unavailable);
  CHECK_FALSE(connection.in_transaction());
  must(connection.prepare(kInsert).bind_all(3, "fits").run());
  CHECK(number(connection, "SELECT group_concat(id) FROM things") == 3);
}

TEST_CASE_FIXTURE(Things, "a query that does not compile is a bug that names it") {
  CHECK_THROWS_WITH_AS((void)connection.prepare({"broken_query", "SELEC 1"}), doctest::Contains("broken_query"), std::logic_error);
  CHECK_THROWS_AS((void)connection.prepare({"empty", ""}), std::logic_error);
}

TEST_CASE_FIXTURE(Things, "a reader sees commits and cannot write") {
  auto reader = open_here(at("fleet.db"), sqlite::Mode::read_only);
  must(connection.script("BEGIN IMMEDIATE"));
  CHECK(connection.in_transaction());
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  CHECK(number(reader, "SELECT count(*) FROM things") == 0);
  must(connection.script("COMMIT"));
  CHECK(number(reader, "SELECT count(*) FROM things") == 1);
  CHECK_FALSE(reader.prepare(kInsert).bind_all(2, "two").run().has_value());
}

TEST_CASE_FIXTURE(Things, "the log is copied into the database once it is long, or at the end, and starts from the front again") {
  auto const size = [this](std::string const& name) { return std::filesystem::file_size(at(name)); };
  auto const empty = size("fleet.db");
  must(connection.prepare(kInsert).bind_all(1, std::string(100'000, 'x')).run());
  must(connection.settle(false));
  CHECK(size("fleet.db") == empty);
  must(connection.settle(true));
  CHECK(size("fleet.db") > 100'000);
  auto const log = size("fleet.db-wal");
  must(connection.prepare(kInsert).bind_all(2, "two").run());
  must(connection.settle(false));
  CHECK(size("fleet.db-wal") == log);
  must(connection.prepare(kInsert).bind_all(3, std::string(9'000'000, 'x')).run());
  must(connection.settle(false));
  CHECK(size("fleet.db") > 9'000'000);
}

TEST_CASE("what cannot be opened says so") {
  Folder folder;
  auto const missing = sqlite::open(folder.at("none/fleet.db"), sqlite::Mode::read_write);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().kind == Kind::not_found);
  std::ofstream(folder.at("text.db")) << std::string(8192, 'x');
  auto const text = sqlite::open(folder.at("text.db"), sqlite::Mode::read_write);
  REQUIRE_FALSE(text.has_value());
  CHECK(text.error().code == "database_corrupt");
}

TEST_CASE("migrations run once, in order, and each as a whole") {
  Folder folder;
  auto const good = std::to_array<db::Migration>({{1, "0001_one", "CREATE TABLE one (a) STRICT"}, {2, "0002_two", "CREATE TABLE two (a)"}});
  auto const mended = std::to_array<db::Migration>(
      {{1, "0001_one", "CREATE TABLE one (a)"}, {2, "0002_two", "CREATE TABLE two (a)"}, {3, "0003_three", "CREATE TABLE three (a)"}});
  auto const half = std::to_array<db::Migration>({{1, "0001_one", "CREATE TABLE one (a)"}, {2, "0002_two", "CREATE TABLE two (a); CREATE TABLE one (a)"}});
  auto connection = open_here(folder.at("fleet.db"));
  auto const strict = sqlite::migrate(connection, good);
  REQUIRE_FALSE(strict.has_value());  // a STRICT column needs a type
  CHECK(strict.error().detail.find("0001_one") != std::string::npos);
  CHECK(number(connection, "SELECT count(*) FROM sqlite_schema") == 0);

  auto const failed = sqlite::migrate(connection, half);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().detail.find("0002_two") != std::string::npos);
  CHECK(number(connection, "PRAGMA user_version") == 1);
  CHECK(number(connection, "SELECT count(*) FROM sqlite_schema") == 1);

  must(sqlite::migrate(connection, mended));
  must(sqlite::migrate(connection, mended));
  CHECK(number(connection, "PRAGMA user_version") == 3);
  CHECK(number(connection, "SELECT count(*) FROM sqlite_schema") == 3);

  auto const older = sqlite::migrate(connection, half);
  REQUIRE_FALSE(older.has_value());
  CHECK(older.error().code == "database_is_newer");
}

TEST_CASE_FIXTURE(Things, "a backup is a whole database") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  must(sqlite::copy(at("fleet.db"), at("copy.db")));
  auto copy = open_here(at("copy.db"));
  CHECK(number(copy, "SELECT count(*) FROM things") == 1);
  CHECK(sqlite::check(copy)->empty());
}

TEST_CASE_FIXTURE(Things, "a check finds rows that point nowhere") {
  must(connection.script("CREATE TABLE parts (thing INTEGER NOT NULL REFERENCES things (id)); PRAGMA foreign_keys=OFF; INSERT INTO parts VALUES (7)"));
  auto const findings = sqlite::check(connection);
  REQUIRE(findings.has_value());
  REQUIRE(findings->size() == 1);
  CHECK(findings->front().find("parts") != std::string::npos);
}
