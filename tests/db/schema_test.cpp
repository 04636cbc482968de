#include "server/store/store.hpp"
#include "tests/db/database.hpp"
#include "tests/support/source_dir.hpp"

using namespace fleet;
using namespace fleet::test;

namespace {

/// Tables, columns, indexes, triggers: what the database says of itself, whatever way it came there.
std::vector<std::string> shape(Database& database) {
  auto out = database.lines(
      "SELECT s.type || ' ' || s.name || ' ' || t.name || ' ' || t.type || ' ' || t.\"notnull\" || ' ' || coalesce(t.dflt_value, '-') || ' ' || t.pk "
      "FROM sqlite_schema s JOIN pragma_table_xinfo(s.name) t WHERE s.type = 'table' ORDER BY s.name, t.cid");
  for (auto const* const sql : {"SELECT s.name || ' ' || l.name || ' ' || l.\"unique\" || ' ' || l.partial || ' ' || coalesce(group_concat(i.name), '') FROM "
                                "sqlite_schema s JOIN pragma_index_list(s.name) l "
                                "JOIN pragma_index_info(l.name) i WHERE s.type = 'table' GROUP BY s.name, l.name ORDER BY s.name, l.name",
                                "SELECT s.name || ' ' || f.\"from\" || ' ' || f.\"table\" || ' ' || coalesce(f.\"to\", '-') || ' ' || f.on_delete FROM "
                                "sqlite_schema s JOIN pragma_foreign_key_list(s.name) f "
                                "WHERE s.type = 'table' ORDER BY s.name, f.id, f.seq",
                                "SELECT t.name || ' ' || t.strict || ' ' || t.wr FROM pragma_table_list t WHERE t.schema = 'main' ORDER BY t.name",
                                "SELECT name || ' ' || sql FROM sqlite_schema WHERE type IN ('trigger', 'view') ORDER BY name"}) {
    auto const more = database.lines(sql);
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

}  // namespace

TEST_CASE("a fresh schema equals a migrated one") {
  Database fresh, migrated;
  fresh.migrate(kMigrations);
  for (std::size_t count = 1; count <= std::size(kMigrations); ++count) {
    migrated.migrate(std::span(kMigrations).first(count));
    migrated.reopen();
  }
  auto const wanted = shape(fresh);
  CHECK(wanted.size() > 100);
  CHECK(shape(migrated) == wanted);
}

TEST_CASE("the store opens what the migrations made, and an old database becomes the newest") {
  Database database;
  database.migrate(std::span(kMigrations).first(1));
  auto const opened = store::Store::open(database.dir.string(), system_clock());
  REQUIRE(opened.has_value());
  (*opened)->close();
  CHECK(database.lines("PRAGMA user_version") == std::vector{std::to_string(std::end(kMigrations)[-1].number)});
}

TEST_CASE("migrations are numbered from 1 without a gap, as their files are named") {
  int expected = 1;
  for (auto const& migration : kMigrations) {
    CHECK(migration.number == expected);
    CHECK(migration.name.starts_with(std::string(4 - std::to_string(expected).size(), '0') + std::to_string(expected) + "_"));
    ++expected;
  }
  auto const files = system_fs().list(test::source_dir() + "/schema/sql");
  REQUIRE(files.has_value());
  CHECK(std::count_if(files->begin(), files->end(), [](auto const& name) { return name.ends_with(".sql"); }) == std::ssize(kMigrations));
}

TEST_CASE("every table keeps its types") {
  Database database;
  database.migrate(kMigrations);
  CHECK(database.lines("SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite_%'").empty());
  CHECK(sqlite::check(database.connection)->empty());
}
