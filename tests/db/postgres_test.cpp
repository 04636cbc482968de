#include "server/store/postgres/postgres.hpp"
#include "tests/db/database.hpp"
#include "tests/db/folders.hpp"
#include "tests/support/postgres.hpp"

#include <algorithm>
#include <array>

using namespace fleet;
using namespace fleet::test;

namespace {

constexpr db::Migration kPostgresMigrations[] = {
#include "server/store/postgres_migrations.inc"
};

/// The newest schema in PostgreSQL.
struct Newest {
  PostgresDatabase database;
  db::Connection connection = open(database.url);
  Newest() { must(postgres::migrate(connection, kPostgresMigrations)); }
  std::vector<std::string> lines(std::string_view sql) {
    std::vector<std::string> out;
    auto rows = connection.prepare({sql.substr(0, 40), sql});
    while (*rows.step()) out.push_back(rows.text(0));
    return out;
  }

private:
  static db::Connection open(std::string const& url) {
    auto opened = postgres::open(url, postgres::Mode::read_write);
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    return std::move(*opened);
  }
};

/// What both say of themselves in the same words: types by SQLite's names, and a column that takes any value as a text.
struct Shape {
  std::string_view what, sqlite, postgres;
};
constexpr auto kShapes = std::to_array<Shape>({
    {"columns: table, name, type, may not be NULL, default, place in the key",
     "SELECT s.name || ' ' || t.name || ' ' || CASE t.type WHEN 'ANY' THEN 'TEXT' ELSE t.type END || ' ' || max(t.\"notnull\", t.pk > 0) || ' ' || coalesce(t.dflt_value, '-') || "
     "' ' || t.pk FROM sqlite_schema s JOIN pragma_table_xinfo(s.name) t WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite_%'",
     "SELECT c.relname || ' ' || a.attname || ' ' || CASE format_type(a.atttypid, a.atttypmod) WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' WHEN 'double precision' "
     "THEN 'REAL' WHEN 'text' THEN 'TEXT' ELSE format_type(a.atttypid, a.atttypmod) END || ' ' || CAST(a.attnotnull AS int) || ' ' || "
     "coalesce(replace(pg_get_expr(d.adbin, d.adrelid), '::text', ''), '-') || ' ' || "
     "coalesce(array_position(string_to_array(CAST(i.indkey AS text), ' '), CAST(a.attnum AS text)), 0) "
     "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
     "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "
     "WHERE c.relkind = 'r' AND c.relnamespace = CAST('public' AS regnamespace) AND c.relname <> 'schema_migrations'"},
    {"indexes: name, table, unique, of some rows alone, columns",
     "SELECT l.name || ' ' || s.name || ' ' || l.\"unique\" || ' ' || l.partial || ' ' || (SELECT group_concat(i.name) FROM pragma_index_info(l.name) i) "
     "FROM sqlite_schema s JOIN pragma_index_list(s.name) l WHERE s.type = 'table' AND l.origin = 'c'",
     "SELECT x.relname || ' ' || t.relname || ' ' || CAST(i.indisunique AS int) || ' ' || CAST(i.indpred IS NOT NULL AS int) || ' ' || "
     "(SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY k(number, place) "
     "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) "
     "FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
     "WHERE t.relnamespace = CAST('public' AS regnamespace) AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = x.oid AND c.contype IN ('p', 'u'))"},
    {"keys beside the first: table, columns",
     "SELECT s.name || ' ' || (SELECT group_concat(i.name) FROM pragma_index_info(l.name) i) FROM sqlite_schema s JOIN pragma_index_list(s.name) l "
     "WHERE s.type = 'table' AND l.origin = 'u'",
     "SELECT t.relname || ' ' || (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY k(number, place) "
     "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
     "WHERE c.contype = 'u' AND t.relnamespace = CAST('public' AS regnamespace)"},
    {"references: table, column, to, what a deletion does",
     "SELECT s.name || ' ' || f.\"from\" || ' ' || f.\"table\" || ' ' || f.on_delete FROM sqlite_schema s JOIN pragma_foreign_key_list(s.name) f WHERE s.type = 'table'",
     "SELECT t.relname || ' ' || a.attname || ' ' || o.relname || ' ' || CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' ELSE '?' END "
     "FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class o ON o.oid = c.confrelid "
     "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey) WHERE c.contype = 'f'"},
    {"triggers: name, table", "SELECT name || ' ' || tbl_name FROM sqlite_schema WHERE type = 'trigger'",
     "SELECT g.tgname || ' ' || t.relname FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal"},
});

/// Rows that come, change and go, and the counts that move with them.
constexpr std::string_view kLife = R"(
INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) SELECT v.n, 'd' || v.n, 'h', 'active', CAST('key' || v.n AS %BYTES%), 1, 1
  FROM (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS v;
UPDATE devices SET state = 'revoked', labels = '{"a":"b"}' WHERE n = 2;
UPDATE devices SET agent = '1.0';
INSERT INTO device_models (device, model, running, since) VALUES (1, 'm', '1', 1), (2, 'm', '1', 1), (3, 'm', NULL, 1);
UPDATE device_models SET running = '2' WHERE device IN (1, 3);
INSERT INTO device_models (device, model, running, since) VALUES (2, 'm', NULL, 1) ON CONFLICT (device, model) DO UPDATE SET running = excluded.running;
INSERT INTO models (name, created_at) VALUES ('m', 1);
INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at)
  VALUES ('m', '1', CAST('digest' AS %BYTES%), '{}', CAST('request' AS %BYTES%), 'approved', 'ann', 1);
INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, created_by, created_at)
  SELECT 'r', 'm', n, '1', '', '{}', '', 'running', 'ann', 1 FROM releases;
INSERT INTO rollout_devices (rollout, device, stage, stratum, state, attempt, dispatched_at, since, silent_at)
  SELECT r.n, d.n, 1, 'all', 'dispatched', 1, 1, 1, 1 FROM rollouts r, devices d;
UPDATE rollout_devices SET state = 'failed', outcome = 'failed', code = 'golden' WHERE device < 3;
UPDATE rollout_devices SET code = 'disk' WHERE device = 2;
UPDATE rollout_devices SET outcome = 'healthy', state = 'healthy', exposed = 1 WHERE device = 1;
INSERT INTO rollout_samples (rollout, device, metric, arm, samples, class, healthy) SELECT rollout, device, 'x', arm, '{}', device, 0 FROM rollout_devices;
UPDATE rollout_samples SET healthy = 1 WHERE device = 1;
INSERT INTO device_groups (name, selector, created_by, created_at, changed_at) VALUES ('g', 'a=b', 'ann', 1, 1);
UPDATE device_groups SET selector = 'a=c';
DELETE FROM rollout_devices WHERE device = 2;
DELETE FROM devices WHERE n = 3;
DELETE FROM device_groups;
)";

std::string life(std::string_view bytes) {
  std::string out(kLife);
  for (auto at = out.find("%BYTES%"); at != std::string::npos; at = out.find("%BYTES%")) out.replace(at, 7, bytes);
  return out;
}

constexpr auto kCounts = std::to_array<std::string_view>({
    "SELECT state || ' ' || devices FROM device_counts ORDER BY state",
    "SELECT model || ' ' || version || ' ' || devices FROM running_counts ORDER BY model, version",
    "SELECT stratum || ' ' || arm || ' ' || state || ' ' || outcome || ' ' || exposed || ' ' || attempt || ' ' || devices FROM rollout_counts ORDER BY state, outcome, exposed",
    "SELECT code || ' ' || devices FROM rollout_failure_counts ORDER BY code",
    "SELECT metric || ' ' || arm || ' ' || class || ' ' || healthy || ' ' || devices FROM rollout_metric_counts ORDER BY class, healthy",
    "SELECT CAST(n AS TEXT) FROM fleet_changes",
    "SELECT device || ' ' || model FROM device_models ORDER BY device",
});

}  // namespace

TEST_CASE("every query of every folder is prepared by PostgreSQL on the newest schema") {
  Newest newest;
  std::size_t prepared = 0;
  for (auto const& [folder, queries] : folders())
    for (auto const& query : queries) {
      CAPTURE(folder);
      CAPTURE(query.name);
      CHECK_NOTHROW((void)newest.connection.prepare(query));
      ++prepared;
    }
  CHECK(prepared > 300);
}

TEST_CASE("few queries have a second text") {
  int two = 0;
  for (auto const& [folder, queries] : folders())
    two += static_cast<int>(std::count_if(queries.begin(), queries.end(), [](auto const& query) { return !query.postgres.empty(); }));
  CHECK(two <= 4);
}

TEST_CASE("PostgreSQL's schema is the migrated one of SQLite") {
  Newest newest;
  Database sqlite;
  sqlite.migrate(kMigrations);
  for (auto const& [what, by_sqlite, by_postgres] : kShapes) {
    CAPTURE(what);
    auto expected = sqlite.lines(std::string(by_sqlite)), found = newest.lines(by_postgres);
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    CHECK(expected.size() > 5);
    std::vector<std::string> missing, strange;
    std::set_difference(expected.begin(), expected.end(), found.begin(), found.end(), std::back_inserter(missing));
    std::set_difference(found.begin(), found.end(), expected.begin(), expected.end(), std::back_inserter(strange));
    for (auto const& line : missing) FAIL_CHECK("missing in PostgreSQL: " << line << "   (a migration that it cannot read has a text of its own in schema/sql/postgres)");
    for (auto const& line : strange) FAIL_CHECK("in PostgreSQL alone: " << line);
  }
}

TEST_CASE("the counts that move with their rows come to the same") {
  Newest newest;
  Database sqlite;
  sqlite.migrate(kMigrations);
  must(sqlite.connection.script(life("BLOB")));
  must(newest.connection.script(life("BYTEA")));
  for (auto const& sql : kCounts) {
    CAPTURE(sql);
    auto const expected = sqlite.lines(std::string(sql));
    CHECK_FALSE(expected.empty());
    CHECK(newest.lines(sql) == expected);
  }
}
