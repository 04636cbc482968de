#include "server/store/postgres/postgres.hpp"
#include "tests/support/postgres.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace fleet;
using db::Connection;
using postgres::Mode;

namespace {

Connection connect(std::string const& url, Mode mode = Mode::read_write) {
  auto opened = postgres::open(url, mode);
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
  return std::move(*opened);
}

template <class T>
T must(Result<T> done) {
  REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail));
  return std::move(*done);
}
void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }

std::int64_t number(Connection& connection, std::string_view sql) {
  auto row = connection.prepare({"number", sql});
  REQUIRE(*row.step());
  return row.int64(0);
}

constexpr db::Query kInsert{"insert", "INSERT INTO things (id, name) VALUES (?1, ?2)"};
constexpr db::Query kSelect{"select", "SELECT id, name FROM things ORDER BY id"};
constexpr db::Query kBegin{"begin", "BEGIN IMMEDIATE", "BEGIN"};
constexpr db::Query kCommit{"commit", "COMMIT"};

struct Things {
  test::PostgresDatabase database;
  Connection connection = connect(database.url);
  /// The server ends its connection.
  void cut(Connection& victim) {
    auto const pid = number(victim, "SELECT pg_backend_pid()");
    auto other = connect(database.url);
    auto kill = other.prepare({"cut", "SELECT pg_terminate_backend(CAST(?1 AS INT), 5000)"});
    REQUIRE(*kill.bind(1, pid).step());
    REQUIRE(kill.int64(0) == 1);
  }
  Things() { must(connection.script("CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> 'no'))")); }
};

}  // namespace

TEST_CASE("every kind of value comes back as it was bound") {
  test::PostgresDatabase database;
  auto connection = connect(database.url);
  must(connection.script("CREATE TABLE v (a BIGINT, b DOUBLE PRECISION, c TEXT, d BYTEA, e TEXT, f TEXT, g BYTEA)"));
  Digest digest;
  digest.bytes.fill(0xab);
  std::optional<std::string> const none;
  auto insert = connection.prepare({"insert", "INSERT INTO v VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"});
  must(insert.bind_all(std::int64_t{-5}, 0.25, "\xc3\xa4 'b'", digest, none, std::string_view(), BytesView()).run());
  auto row = connection.prepare({"read", "SELECT a, b, c, d, e, f, g, f IS NULL, g IS NULL, sum(a) OVER (), octet_length(c), '?' FROM v"});
  REQUIRE(*row.step());
  CHECK(row.int64(0) == -5);
  CHECK(row.real(1) == 0.25);
  CHECK(row.text(2) == "\xc3\xa4 'b'");
  CHECK(row.digest(3) == digest);
  CHECK(row.is_null(4));
  CHECK_FALSE(row.maybe_text(4).has_value());
  CHECK(row.int64(4) == 0);
  CHECK(row.maybe_int64(0) == -5);
  CHECK_FALSE(row.is_null(5));
  CHECK(row.int64(7) == 0);  // an empty text is no NULL
  CHECK(row.int64(8) == 0);
  CHECK(row.int64(9) == -5);
  CHECK(row.real(9) == -5.0);
  CHECK(row.int64(10) == 6);
  CHECK(row.text(11) == "?");
  CHECK_THROWS_WITH_AS((void)row.text(0), "column 0 of query read is int8, and is read as a text", std::logic_error);
  CHECK_THROWS_WITH_AS((void)row.int64(3), "column 3 of query read is bytea, and is read as a whole number", std::logic_error);
  CHECK_THROWS_WITH_AS((void)insert.bind(1, "5"), "parameter 1 of query insert is int8, and a text is bound to it", std::logic_error);
  CHECK_THROWS_WITH_AS((void)insert.bind(8, 5), "query insert has 7 parameters, 8 is bound", std::logic_error);
  CHECK_FALSE(*row.step());
}

TEST_CASE_FIXTURE(Things, "a text with NUL is refused before it is sent") {
  must(connection.script("BEGIN"));
  auto const done = connection.prepare(kInsert).bind_all(1, std::string_view("a\0b", 3)).run();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().code == "nul_in_text");
  must(connection.prepare(kInsert).bind_all(1, "a").run());  // the transaction stands
  must(connection.script("COMMIT"));
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
  { CHECK(*connection.prepare(kSelect).step()); }  // let go in the middle of its rows
  auto again = connection.prepare(kSelect);
  REQUIRE(*again.step());
  CHECK(again.int64(0) == 1);
  auto const unbound = connection.prepare(kInsert).run();  // what was bound before is gone
  REQUIRE_FALSE(unbound.has_value());
  CHECK(unbound.error().code == "constraint");
}

TEST_CASE_FIXTURE(Things, "a statement says how many rows it changed, and the number that it gives back") {
  auto add = connection.prepare({"add", "INSERT INTO things (id, name) SELECT coalesce(max(id), 0) + 1, ?1 FROM things ON CONFLICT DO NOTHING RETURNING id"});
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
  CHECK(number(connection, "SELECT count(*) FROM things") == 2);
  CHECK(connection.total_changes() == before + 3);
}

TEST_CASE_FIXTURE(Things, "broken rules are conflicts that say which, and a savepoint takes them back") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  struct Case {
    int id;
    std::optional<std::string> name;
    std::string_view says;
  };
  for (auto const& [id, name, says] :
       {Case{1, "other", "things_pkey"}, Case{2, "one", "things_name_key"}, Case{2, std::nullopt, "name"}, Case{2, "no", "things_name_check"}}) {
    must(connection.prepare(kBegin).run());
    must(connection.prepare({"savepoint", "SAVEPOINT job"}).run());
    auto const done = connection.prepare(kInsert).bind_all(id, name).affected();
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == Kind::conflict);
    CHECK(done.error().code == "constraint");
    CHECK_MESSAGE(done.error().detail.find(says) != std::string::npos, done.error().detail);
    CHECK(connection.in_transaction());
    CHECK_FALSE(connection.prepare(kSelect).step().has_value());  // nothing but the way back is taken now
    must(connection.prepare({"undo", "ROLLBACK TO job"}).run());
    must(connection.prepare(kInsert).bind_all(7, "seven").run());
    must(connection.prepare({"rollback", "ROLLBACK"}).run());
    CHECK_FALSE(connection.in_transaction());
  }
  CHECK(number(connection, "SELECT count(*) FROM things") == 1);
}

TEST_CASE_FIXTURE(Things, "a transaction that failed is not committed, and a commit says so") {
  must(connection.prepare(kBegin).run());
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  CHECK_FALSE(connection.prepare(kInsert).bind_all(1, "again").affected().has_value());
  CHECK(connection.await().error().code == "transaction_failed");
  auto const committed = connection.prepare(kCommit).run();
  REQUIRE_FALSE(committed.has_value());
  CHECK(committed.error().code == "transaction_failed");
  CHECK_FALSE(connection.in_transaction());
  CHECK(number(connection, "SELECT count(*) FROM things") == 0);
}

TEST_CASE_FIXTURE(Things, "what is put off in a transaction is done in order, however much it is") {
  auto const before = connection.total_changes();
  must(connection.prepare(kBegin).run());
  constexpr db::Query kAppend{"append", "UPDATE things SET name = name || ?2 WHERE id = ?1"};
  std::string expected = "1";
  must(connection.prepare(kInsert).bind_all(1, expected).run());
  for (int i = 0; i < 1'000; ++i) {
    auto const more = std::to_string(i % 10);
    must(connection.prepare(kAppend).bind_all(1, more).run());
    expected += more;
    if (i % 300 != 7) continue;
    auto row = connection.prepare(kSelect);  // sees what was written before it
    REQUIRE(*row.step());
    CHECK(row.text(1) == expected);
  }
  CHECK(connection.total_changes() == before + 1'001);
  must(connection.prepare(kInsert).bind_all(2, "two").run());
  must(connection.prepare(kCommit).run());
  auto other = connect(database.url);
  CHECK(number(other, "SELECT sum(id * octet_length(name)) FROM things") == 1'001 + 6);
}

TEST_CASE_FIXTURE(Things, "what goes wrong with a statement that was put off is told by whatever waits next, and nothing after it was done") {
  struct Waiter {
    std::string_view name;
    std::function<Result<void>()> wait;
  };
  auto const asked = [](Result<bool> done) { return done ? Result<void>() : done.error(); };
  auto const counted = [](Result<std::int64_t> done) { return done ? Result<void>() : done.error(); };
  std::vector<Waiter> const waiters{{"a read", [&] { return asked(connection.prepare(kSelect).step()); }},
                                    {"a text that is new",
                                     [&] {
                                       return asked(connection.prepare({"new", "SELECT 'new' FROM things"}).step());
                                     }},
                                    {"a count", [&] { return counted(connection.prepare(kInsert).bind_all(8, "eight").affected()); }},
                                    {"to wait", [&] { return connection.await(); }},
                                    {"who counts changes, and the next", [&] { return connection.total_changes() == 0 ? Result<void>() : connection.await(); }},
                                    {"a script", [&] { return connection.script("SELECT 1"); }},
                                    {"a commit", [&] { return connection.prepare(kCommit).run(); }},
                                    {"what was put off in great number", [&]() -> Result<void> {
                                       for (int i = 0; i < 1'000; ++i) FLEET_CHECK(connection.prepare(kInsert).bind_all(1'000 + i, std::to_string(i)).run());
                                       return {};
                                     }}};
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  for (auto const& [name, wait] : waiters) {
    CAPTURE(name);
    must(connection.prepare(kBegin).run());
    must(connection.prepare({"savepoint", "SAVEPOINT job"}).run());
    must(connection.prepare(kInsert).bind_all(2, "two").run());
    must(connection.prepare(kInsert).bind_all(1, "again").run());
    must(connection.prepare(kInsert).bind_all(3, "three").run());
    auto const late = wait();
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == "constraint");
    CHECK_MESSAGE(late.error().detail.find("things_pkey") != std::string::npos, late.error().detail);
    CHECK(connection.in_transaction());
    CHECK(connection.await().error().code == "transaction_failed");
    must(connection.prepare({"undo", "ROLLBACK TO job"}).run());
    must(connection.prepare({"release", "RELEASE job"}).run());
    must(connection.await());
    CHECK(number(connection, "SELECT sum(id) FROM things") == 1);
    must(connection.prepare(kCommit).run());
  }
}

TEST_CASE_FIXTURE(Things, "a way back forgets what went wrong before it") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  must(connection.prepare(kBegin).run());
  must(connection.prepare({"savepoint", "SAVEPOINT job"}).run());
  must(connection.prepare(kInsert).bind_all(1, "again").run());
  must(connection.prepare({"undo", "ROLLBACK TO job"}).run());
  must(connection.prepare(kInsert).bind_all(2, "two").run());
  must(connection.prepare(kCommit).run());
  CHECK(number(connection, "SELECT sum(id) FROM things") == 3);
}

TEST_CASE_FIXTURE(Things, "a connection that was cut under what was put off commits nothing, and its commit was not sent") {
  for (bool const commits : {false, true}) {
    CAPTURE(commits);
    must(connection.prepare(kBegin).run());
    auto commit = connection.prepare(kCommit);
    auto insert = connection.prepare(kInsert);
    must(insert.bind_all(1, "one").run());
    cut(connection);
    must(insert.bind_all(2, "two").run());
    must(insert.bind_all(3, "three").run());
    auto const late = commits ? commit.run() : connection.await();
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == "database_gone");
    CHECK_FALSE(connection.in_transaction());
    must(connection.prepare(kBegin).run());
    CHECK(number(connection, "SELECT count(*) FROM things") == 0);
    must(connection.prepare(kCommit).run());
  }
}

TEST_CASE_FIXTURE(Things, "a query that does not compile is a bug that names it; one that cannot be prepared now says so, and can be later") {
  CHECK_THROWS_WITH_AS((void)connection.prepare({"broken_query", "SELEC 1"}), doctest::Contains("broken_query"), std::logic_error);
  CHECK_THROWS_AS((void)connection.prepare({"empty", ""}), std::logic_error);
  must(connection.prepare(kBegin).run());
  CHECK_FALSE(connection.script("SELECT 1 / 0").has_value());
  CHECK_FALSE(connection.prepare(kInsert).bind_all(1, "one").run().has_value());  // the first time, in a transaction that failed
  must(connection.prepare({"rollback", "ROLLBACK"}).run());
  must(connection.prepare(kInsert).bind_all(1, "one").run());
}

TEST_CASE_FIXTURE(Things, "a reader sees commits and cannot write") {
  auto reader = connect(database.url, Mode::read_only);
  must(connection.prepare(kBegin).run());
  CHECK(connection.in_transaction());
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  CHECK(number(reader, "SELECT count(*) FROM things") == 0);
  must(connection.prepare(kCommit).run());
  CHECK(number(reader, "SELECT count(*) FROM things") == 1);
  auto const written = reader.prepare(kInsert).bind_all(2, "two").run();
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().code == "database_read_only");
}

TEST_CASE_FIXTURE(Things, "of two that lock each other out, one may run again and the other goes on") {
  for (int i = 1; i <= 2; ++i) must(connection.prepare(kInsert).bind_all(i, "thing " + std::to_string(i)).run());
  auto other = connect(database.url);
  constexpr db::Query kTouch{"touch", "UPDATE things SET name = name WHERE id = ?1"};
  must(connection.prepare(kBegin).run());
  must(other.prepare(kBegin).run());
  must(connection.prepare(kTouch).bind_all(1).affected());
  must(other.prepare(kTouch).bind_all(2).affected());
  auto waits = std::async(std::launch::async, [&] { return connection.prepare(kTouch).bind_all(2).affected(); });
  auto const second = other.prepare(kTouch).bind_all(1).affected();
  if (!second) must(other.prepare({"rollback", "ROLLBACK"}).run());
  auto const first = waits.get();
  REQUIRE(first.has_value() != second.has_value());
  CHECK((first ? second : first).error().code == "run_again");
}

TEST_CASE_FIXTURE(Things, "who waits too long for a lock or a statement is told that the database is busy") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  auto other = connect(database.url);
  must(other.script("SET lock_timeout = '20ms'; SET statement_timeout = '40ms'"));
  must(connection.script("BEGIN; LOCK TABLE things IN ACCESS EXCLUSIVE MODE"));
  auto const locked = other.prepare({"count", "SELECT count(*) FROM things"}).step();
  REQUIRE_FALSE(locked.has_value());
  CHECK(locked.error().code == "database_busy");
  auto const slow = other.prepare({"sleep", "SELECT 1 FROM pg_sleep(5)"}).step();
  REQUIRE_FALSE(slow.has_value());
  CHECK(slow.error().code == "database_busy");
  must(connection.script("ROLLBACK"));
  CHECK(number(other, "SELECT count(*) FROM things") == 1);
}

TEST_CASE_FIXTURE(Things, "a connection that was cut says that the database is gone, and that nobody knows of its commit") {
  must(connection.prepare(kBegin).run());
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  auto commit = connection.prepare(kCommit);
  cut(connection);
  auto const committed = commit.run();
  REQUIRE_FALSE(committed.has_value());
  CHECK(committed.error().code == "commit_unknown");
  CHECK(committed.error().kind == Kind::unavailable);
  for (auto const& query : {kSelect, db::Query{"never_prepared", "SELECT 2"}}) {
    auto const after = connection.prepare(query).step();
    REQUIRE_FALSE(after.has_value());
    CHECK(after.error().code == "database_gone");
  }
  CHECK_FALSE(connection.in_transaction());
  must(connection.prepare(kBegin).run());
  must(connection.prepare(kInsert).bind_all(2, "two").run());
  must(connection.prepare(kCommit).run());
  CHECK(number(connection, "SELECT sum(id) FROM things") == 2);
  CHECK(number(connection, "SELECT count(*) FROM pg_settings WHERE name = 'lock_timeout' AND setting = '5000'") == 1);
}

TEST_CASE_FIXTURE(Things, "who only reads does not notice that a connection was cut") {
  must(connection.prepare(kInsert).bind_all(1, "one").run());
  auto reader = connect(database.url, Mode::read_only);
  auto held = reader.prepare({"find", "SELECT name FROM things WHERE id = ?1"});
  held.bind(1, 1);
  cut(reader);
  CHECK(*held.step());
  CHECK(held.text(0) == "one");
  cut(reader);
  CHECK(number(reader, "SELECT count(*) FROM things") == 1);
}

TEST_CASE_FIXTURE(Things, "what was bound while a connection broke is bound, or the statement fails: it never runs without its values") {
  must(connection.script("INSERT INTO things VALUES (1, 'one'), (2, 'two')"));
  constexpr db::Query kByName{"by_name", "SELECT id FROM things WHERE name = ?1"}, kById{"by_id", "SELECT name FROM things WHERE id = ?1"};
  auto reader = connect(database.url, Mode::read_only);
  cut(reader);
  auto first = reader.prepare(kByName);  // a text that this connection has not prepared yet
  REQUIRE(*first.bind(1, "two").step());
  CHECK(first.int64(0) == 2);
  // Away while it is bound, and back when it runs.
  auto const allow = [&](std::string const& yes) {
    auto other = connect(std::string(std::getenv("FLEET_TEST_POSTGRES")));
    must(other.script("ALTER DATABASE " + database.name + " ALLOW_CONNECTIONS " + yes));
  };
  cut(reader);
  allow("false");
  auto second = reader.prepare(kById);
  second.bind(1, 2);
  allow("true");
  auto const stepped = second.step();
  REQUIRE_FALSE(stepped.has_value());
  CHECK(stepped.error().code == "database_gone");
  CHECK(stepped.error().detail.find("ALLOW") == std::string::npos);
  REQUIRE(*reader.prepare(kById).bind(1, 2).step());
}

TEST_CASE_FIXTURE(Things, "one that is alone keeps others out, also after its connection was cut, until it goes") {
  auto first = std::make_optional(connect(database.url, Mode::alone));
  auto const refused = postgres::open(database.url, Mode::alone);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "database_in_use");
  cut(*first);
  must(first->prepare(kBegin).run());
  must(first->prepare(kCommit).run());
  CHECK_FALSE(postgres::open(database.url, Mode::alone).has_value());
  must(connect(database.url).prepare(kInsert).bind_all(1, "beside it").run());
  // Another came while it was cut off: it writes nothing until that one has gone.
  cut(*first);
  auto second = std::make_optional(connect(database.url, Mode::alone));
  CHECK(first->prepare(kBegin).run().error().code == "database_gone");
  CHECK(first->prepare(kBegin).run().error().kind == Kind::unavailable);
  second.reset();
  must(first->prepare(kBegin).run());
  must(first->prepare(kCommit).run());
}

TEST_CASE("a reader of what cannot be reached says so when it is asked") {
  auto reader = postgres::reader("postgresql:///none?host=/nonexistent", std::make_shared<postgres::Reach>());
  auto row = reader.prepare({"one", "SELECT 1"});
  CHECK(row.step().error().code == "database_gone");
  CHECK(row.step().error().detail.find("nonexistent") == std::string::npos);
}

TEST_CASE_FIXTURE(Things, "while a database is away only who is alone on it tries") {
  auto const reach = std::make_shared<postgres::Reach>();
  auto alone = must(postgres::open(database.url, Mode::alone, reach));
  auto reader = postgres::reader(database.url, reach);
  constexpr db::Query kCountThings{"count_things", "SELECT count(*) FROM things"};
  REQUIRE(*reader.prepare(kCountThings).step());
  CHECK_FALSE(reach->away);
  cut(reader);
  reach->away = true;
  CHECK(reader.prepare(kCountThings).step().error().code == "database_gone");
  CHECK(reader.prepare(kCountThings).step().error().detail == "the database cannot be reached");
  must(alone.settle(false));
  CHECK_FALSE(reach->away);
  CHECK(*reader.prepare(kCountThings).step());
  cut(alone);
  reach->away = true;
  must(alone.settle(false));
  must(alone.settle(false));
  CHECK_FALSE(reach->away);
}

TEST_CASE_FIXTURE(Things, "a database is empty as long as nobody's tables are there but ours, without a fleet") {
  CHECK(postgres::check_empty(connection).error().code == "database_not_empty");
  must(connection.script("DROP TABLE things"));
  CHECK(postgres::check_empty(connection).has_value());
  constexpr db::Migration kFirst[] = {{1, "0001_start", "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)"}};
  must(postgres::migrate(connection, kFirst));
  CHECK(*postgres::schema_version(connection) == 1);
  CHECK(postgres::check_empty(connection).has_value());
  must(connection.script("INSERT INTO settings VALUES ('a', 'b')"));
  CHECK(postgres::check_empty(connection).error().code == "database_not_empty");
}

TEST_CASE("what libpq cannot read as a URL is told without its words, which may hold a password") {
  CHECK(postgres::check_url("postgresql://ann:secret@[::1]:5432/fleet?sslmode=verify-full").has_value());
  CHECK(postgres::check_url("postgres:///fleet?host=/run/postgresql").has_value());
  for (auto const* const wrong : {"", "mysql://h/x", "host=h dbname=x", "postgresql://ann:secret@[bad", "postgresql://h/x?nonsense=1", "postgresql://ann:secret@h:x%zz/"}) {
    CAPTURE(wrong);
    auto const refused = postgres::check_url(wrong);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == Kind::bad_input);
    CHECK(refused.error().detail.find("secret") == std::string::npos);
  }
}

TEST_CASE("what cannot be reached, is of another collation or is no PostgreSQL's says so") {
  auto const missing = postgres::open("postgresql:///none?host=/nonexistent", Mode::read_write);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == "database_gone");
  test::PostgresDatabase other("LOCALE 'C.UTF-8'");
  auto const sorted = postgres::open(other.url, Mode::read_write);
  REQUIRE_FALSE(sorted.has_value());
  CHECK(sorted.error().code == "wrong_collation");
  CHECK_FALSE(postgres::open("no url", Mode::read_write).has_value());
}

TEST_CASE("migrations run once, in order, each as a whole, whoever comes at once") {
  test::PostgresDatabase database;
  auto const half = std::to_array<db::Migration>({{28, "0028_base", "CREATE TABLE one (a BIGINT)"}, {29, "0029_two", "CREATE TABLE two (a BIGINT); CREATE TABLE one (a BIGINT)"}});
  auto const mended = std::to_array<db::Migration>(
      {{28, "0028_base", "CREATE TABLE one (a BIGINT)"}, {29, "0029_two", "CREATE TABLE two (a BIGINT)"}, {30, "0030_three", "CREATE TABLE three (a BIGINT)"}});
  auto connection = connect(database.url);
  auto const failed = postgres::migrate(connection, half);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().detail.find("0029_two") != std::string::npos);
  CHECK_FALSE(connection.in_transaction());
  constexpr auto kVersion = "SELECT max(number) FROM schema_migrations";
  CHECK(number(connection, kVersion) == 28);
  CHECK(number(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 2);

  std::vector<std::future<bool>> nodes;
  for (int i = 0; i < 4; ++i)
    nodes.push_back(std::async(std::launch::async, [&] {
      auto own = postgres::open(database.url, Mode::read_write);
      return own && postgres::migrate(*own, mended);
    }));
  for (auto& node : nodes) CHECK(node.get());
  must(postgres::migrate(connection, mended));
  CHECK(number(connection, kVersion) == 30);
  CHECK(number(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 4);

  auto const older = postgres::migrate(connection, half);
  REQUIRE_FALSE(older.has_value());
  CHECK(older.error().code == "database_is_newer");
}
