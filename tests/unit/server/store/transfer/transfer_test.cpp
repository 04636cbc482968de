#include "core/base/random.hpp"
#include "server/store/place.hpp"
#include "server/store/postgres/postgres.hpp"
#include "server/store/schema.hpp"
#include "server/store/sqlite/sqlite.hpp"
#include "server/store/transfer/rows.hpp"
#include "server/store/transfer/transfer.hpp"
#include "tests/support/postgres.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <future>
#include <map>

using namespace fleet;
using namespace fleet::store;

#define ON_POSTGRES(name) name* doctest::skip(!test::has_postgres())

namespace {

void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }
template <class T>
T must(Result<T> done) {
  REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail));
  return std::move(*done);
}

/// A fleet of 450 devices with what a database can hold: no value, both ends of numbers, bytes, words of any language, numbers that were given and forgotten.
constexpr auto const* kFleet = R"(
WITH RECURSIVE k(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM k WHERE n < 450)
INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at, cache)
  SELECT n, 'cam-' || n, 'käse', CASE n % 3 WHEN 0 THEN 'revoked' ELSE 'active' END, randomblob(32), CASE n WHEN 1 THEN -9223372036854775807 ELSE 9223372036854775807 END, 0,
    CASE n % 2 WHEN 0 THEN 'x' END FROM k;
INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) SELECT n, n, 1, 1 FROM devices;
INSERT INTO device_models (device, model, running, since) SELECT n, m, '1.0', 0 FROM devices, (SELECT 'a' AS m UNION ALL SELECT 'B' UNION ALL SELECT 'ä');
INSERT INTO events (time, type, subject, actor, data) SELECT n, 't', 's', 'a', '{"a":"\u00e4\n"}' FROM devices;
DELETE FROM events WHERE id > 440;
INSERT INTO settings (name, value) VALUES ('a', 7), ('b', 'seven'), ('c', '');
INSERT INTO device_quotas (device, what, remaining, as_of, exceeded, told_at) SELECT n, 'x', n / 3.0, 0, 0, 0 FROM devices;
INSERT INTO models (name, created_at) VALUES ('m', 1);
INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('m', '1', x'00ff', '{}', x'', 'approved', 'ann', 1);
INSERT INTO metric_series (metric, model, version, hardware, labels, kept_by, seen) VALUES ('x', 'm', '1', 'h', '{}', '', 0);
INSERT INTO metric_intervals (series, start, count, sum, min, max, sketch) VALUES (1, 0, 3, 0.1, -1e308, 1e308, '{}');
)";

class Folder {
public:
  Folder() : path((std::filesystem::temp_directory_path() / make_ulid("fleet-transfer-", 0, system_random())).string()) { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(Folder const&) = delete;
  std::string path;

  void fill(std::string const& sql) const {
    auto connection = must(sqlite::open(sqlite_file(path), sqlite::Mode::read_write));
    must(sqlite::migrate(connection, sqlite_migrations()));
    must(connection.script(sql));
  }
  /// Every row of every table.
  [[nodiscard]] std::map<std::string, std::vector<Row>> rows() const {
    auto connection = must(open_to_read(path));
    std::map<std::string, std::vector<Row>> out;
    for (auto const& table : must(tables_of(connection)))
      for (Pages pages(connection, table);;) {
        auto page = must(pages.next());
        if (page.empty()) break;
        auto& all = out[table.name];
        all.insert(all.end(), page.begin(), page.end());
      }
    return out;
  }
  [[nodiscard]] std::int64_t number(std::string_view sql) const {
    auto connection = must(open_to_read(path));
    return must(connection.prepare({"number", sql}).returned());
  }
};

}  // namespace

TEST_CASE("tables come in an order in which none refers to a later one, and each tells its rows apart") {
  Folder folder;
  folder.fill("");
  auto connection = must(open_to_read(folder.path));
  auto const tables = must(tables_of(connection));
  CHECK(tables.size() > 50);
  std::map<std::string, std::size_t> place;
  for (auto const& table : tables) {
    CAPTURE(table.name);
    CHECK_FALSE(table.key.empty());
    place[table.name] = place.size();
  }
  for (auto const& [later, sooner] : {std::pair{"contacts", "devices"}, {"rollout_samples", "rollout_devices"}, {"rollout_devices", "rollouts"}, {"rollouts", "releases"}, {"releases", "models"}})
    CHECK(place.at(sooner) < place.at(later));
}

TEST_CASE(ON_POSTGRES("every row goes to PostgreSQL and comes back as it was, with the numbers that come next")) {
  Folder from, back;
  from.fill(kFleet);
  test::PostgresDatabase database;
  auto const there = must(transfer(from.path, database.url));
  auto const before = from.rows();
  CHECK(before.at("devices").size() == 450);
  CHECK(before.at("device_models").size() == 1'350);
  CHECK(before.at("device_counts").size() == 2);
  std::uint64_t rows = 0;
  for (auto const& [table, all] : before) rows += all.size();
  CHECK(there.rows == rows);
  CHECK(transfer(from.path, database.url).error().code == "database_not_empty");
  {
    auto connection = must(postgres::open(database.url, postgres::Mode::read_write));
    CHECK(must(connection.prepare({"next_event", "INSERT INTO events (time, type, subject, actor, data) VALUES (0, '', '', '', '{}') RETURNING id"}).returned()) == 451);
    must(connection.script("DELETE FROM events WHERE id > 440"));
    CHECK(must(connection.prepare({"next_release", "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) "
                                                   "VALUES ('m', '2', '\\x01', '{}', '', 'approved', 'ann', 1) RETURNING n"})
                   .returned()) == 2);
    must(connection.script("DELETE FROM releases WHERE n = 2"));
    // Triggers run again.
    must(connection.script("UPDATE devices SET state = 'revoked' WHERE n = 1; UPDATE devices SET state = 'active' WHERE n = 1"));
  }
  must(transfer(database.url, back.path));
  auto after = back.rows();
  after["fleet_changes"] = before.at("fleet_changes");  // which counts changes of a fleet
  for (auto const& [table, all] : before) {
    CAPTURE(table);
    CHECK(after[table] == all);
  }
  CHECK(back.number("SELECT seq FROM sqlite_sequence WHERE name = 'events'") == 451);
  CHECK(back.number("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") == from.number("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"));
  auto connection = must(open_to_read(back.path));
  CHECK(must(check(back.path, connection)).empty());
}

TEST_CASE(ON_POSTGRES("of two that come at once to an empty database one finds it taken, and what the other brought stays")) {
  Folder first, second;
  first.fill(kFleet);
  second.fill("INSERT INTO settings (name, value) VALUES ('whose', 'second')");
  test::PostgresDatabase database;
  std::vector<std::future<Result<Transferred>>> both;
  for (auto const* const folder : {&first, &second}) both.push_back(std::async(std::launch::async, [&, folder] { return transfer(folder->path, database.url); }));
  auto const one = both[0].get(), other = both[1].get();
  REQUIRE(one.has_value() != other.has_value());
  auto const code = (one ? other : one).error().code;
  CHECK((code == "database_not_empty" || code == "database_in_use"));
  auto connection = must(open_to_read(database.url));
  CHECK(must(connection.prepare({"whose", "SELECT count(*) FROM settings WHERE name = 'whose'"}).returned()) == (one ? 0 : 1));
}

TEST_CASE(ON_POSTGRES("a copy is of one moment, while others write")) {
  Folder from, copied;
  from.fill(kFleet);
  test::PostgresDatabase database;
  must(transfer(from.path, database.url));
  auto alone = must(postgres::open(database.url, postgres::Mode::alone));  // a server that runs
  must(copy(database.url, sqlite_file(copied.path)));
  CHECK(copied.rows() == from.rows());
  CHECK(transfer(database.url, copied.path).error().code == "database_in_use");
}

TEST_CASE(ON_POSTGRES("what PostgreSQL does not take leaves nothing there, and says where it is")) {
  Folder from;
  from.fill("INSERT INTO settings (name, value) VALUES ('a', 'x' || char(0) || 'y')");
  test::PostgresDatabase database;
  auto const refused = transfer(from.path, database.url);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "nul_in_text");
  CHECK(refused.error().detail.find("table settings") != std::string::npos);
  CHECK(check_empty(database.url).has_value());
  from.fill("DELETE FROM settings WHERE name = 'a'");
  CHECK(transfer(from.path, database.url).has_value());
}
