#include "server/store/store.hpp"
#include "server/store/moment.hpp"
#include "server/store/postgres/postgres.hpp"
#include "tests/support/postgres.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fleet;
using store::Lane;
using store::Store;
using store::Tx;

namespace {

constexpr db::Query kPut{"test.put", "INSERT INTO settings (name, value) VALUES (?1, ?2)"};
constexpr db::Query kCount{"test.count", "SELECT count(*) FROM settings"};
constexpr db::Query kWho{"test.who", "SELECT pg_backend_pid()"};

Result<void> put(Tx& tx, std::string const& name) { return tx.prepare(kPut).bind_all(name, "x").run(); }

struct House {
  test::PostgresDatabase database;
  std::unique_ptr<Store> store = open(database.url);

  static std::unique_ptr<Store> open(std::string const& url) {
    auto opened = Store::open(url, system_clock());
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    return std::move(*opened);
  }
  /// The server ends the connection that the job is on.
  Result<void> cut(Tx& tx) const {
    FLEET_TRY(auto const pid, tx.prepare(kWho).returned());
    FLEET_TRY(auto other, postgres::open(database.url, postgres::Mode::read_write));
    return other.prepare({"test.cut", "SELECT pg_terminate_backend(CAST(?1 AS INT), 5000)"}).bind_all(pid).run();
  }
  std::int64_t count() const {
    auto row = store->reader().prepare(kCount);
    REQUIRE(*row.step());
    return row.int64(0);
  }
  std::future<Result<void>> start(Store::Job job) const {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    store->write(Lane::verbs, std::move(job), [promise](Result<void> done) { promise->set_value(std::move(done)); });
    return promise->get_future();
  }
  /// Queued together: committed as one group.
  std::vector<std::future<Result<void>>> group(std::vector<Store::Job> jobs) const {
    std::promise<void> gate;
    std::promise<void> entered;
    auto held = start([&entered, wait = gate.get_future().share()](Tx&) -> Result<void> {
      entered.set_value();
      wait.wait();
      return {};
    });
    entered.get_future().wait();
    std::vector<std::future<Result<void>>> out;
    for (auto& job : jobs) out.push_back(start(std::move(job)));
    gate.set_value();
    static_cast<void>(held.get());
    return out;
  }
};

}  // namespace

#define ON_POSTGRES(name) name* doctest::skip(!test::has_postgres())

TEST_CASE_FIXTURE(House, ON_POSTGRES("a connection that is cut in a job fails its whole group, hidden or not, and the next one is written")) {
  REQUIRE(store->write_wait(Lane::verbs, [](Tx& tx) { return put(tx, "before"); }).has_value());
  for (bool const hides : {false, true}) {
    CAPTURE(hides);
    auto answers = group({[](Tx& tx) { return put(tx, "one"); },
                          [&](Tx& tx) -> Result<void> {
                            FLEET_CHECK(cut(tx));
                            auto const after = put(tx, "after the cut");
                            return hides ? Result<void>() : after;
                          },
                          [](Tx& tx) { return put(tx, "two"); }});
    for (std::size_t i : {0U, 1U}) {
      auto const answer = answers[i].get();
      REQUIRE_FALSE(answer.has_value());
      CHECK(answer.error().code == "database_gone");
    }
    static_cast<void>(answers[2].get());  // in the next group; of the second time the name is there already
    CHECK(count() == 2);
  }
}

TEST_CASE_FIXTURE(House, ON_POSTGRES("a commit that nobody vouches for fails its group, and what was remembered is decided anew")) {
  auto const policy = store->epochs().policy();
  auto cutting = [&](Tx& tx) -> Result<void> {
    FLEET_CHECK(put(tx, "one"));
    // The server ends the connection in the midst of the group's commit.
    FLEET_CHECK(tx.connection().script("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); "
                                       "RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON settings DEFERRABLE INITIALLY DEFERRED "
                                       "FOR EACH ROW EXECUTE FUNCTION fail()"));
    return put(tx, "two");
  };
  auto const answer = store->write_wait(Lane::verbs, cutting);
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == "commit_unknown");
  CHECK(store->epochs().policy() == policy + 1);
  CHECK(count() == 0);
  CHECK(store->write_wait(Lane::verbs, [](Tx&) -> Result<void> { return {}; }).has_value());
}

TEST_CASE_FIXTURE(House, ON_POSTGRES("reads of one moment fail where their connection was cut in between, and the next ones are whole")) {
  auto const cut_short = store::at_one_moment(store->reader(), [&]() -> Result<std::int64_t> {
    FLEET_TRY(auto const pid, store->reader().prepare(kWho).returned());
    FLEET_TRY(auto other, postgres::open(database.url, postgres::Mode::read_write));
    FLEET_CHECK(other.prepare({"test.cut", "SELECT pg_terminate_backend(CAST(?1 AS INT), 5000)"}).bind_all(pid).run());
    return count();  // by a connection that was made anew
  });
  REQUIRE_FALSE(cut_short.has_value());
  CHECK(cut_short.error().code == "database_gone");
  CHECK(store::at_one_moment(store->reader(), [&] { return Result<std::int64_t>(count()); }).has_value());
}

TEST_CASE_FIXTURE(House, ON_POSTGRES("a job that hides a statement that failed fails itself, and nobody else")) {
  auto answers = group({[](Tx& tx) { return put(tx, "one"); },
                        [](Tx& tx) -> Result<void> {
                          FLEET_CHECK(put(tx, "two"));
                          static_cast<void>(put(tx, "one"));
                          return {};
                        },
                        [](Tx& tx) { return put(tx, "three"); }});
  CHECK(answers[0].get().has_value());
  auto const hiding = answers[1].get();
  REQUIRE_FALSE(hiding.has_value());
  CHECK(hiding.error().code == "constraint");
  CHECK(answers[2].get().has_value());
  CHECK(count() == 2);
  // The same of one that was waited for.
  auto const waited = store->write_wait(Lane::verbs, [](Tx& tx) -> Result<void> {
    static_cast<void>(tx.prepare(kPut).bind_all("one", "x").affected());
    return {};
  });
  REQUIRE_FALSE(waited.has_value());
  CHECK(waited.error().code == "transaction_failed");
}

TEST_CASE_FIXTURE(House,
                  ON_POSTGRES("of a group fails exactly who wrote what fails, wherever in it; the others are committed in their order, and their hooks run")) {
  std::vector<std::string> hooks;
  auto const job = [&hooks](std::string const& name, std::string const& again, bool throws) -> Store::Job {
    return [&hooks, name, again, throws](Tx& tx) -> Result<void> {
      tx.after_commit([&hooks, name] { hooks.push_back(name); });
      FLEET_CHECK(put(tx, name));
      if (!again.empty()) FLEET_CHECK(put(tx, again));  // not waited for
      FLEET_CHECK(put(tx, name + "+"));
      if (throws) throw std::runtime_error("a bug");
      return {};
    };
  };
  auto answers = group(
      {job("a", "a", false), job("b", "", false), job("c", "b", false), job("d", "", true), job("e", "", false), job("f", "e", true), job("g", "", false)});
  std::string told;
  for (auto& answer : answers) {
    auto const done = answer.get();
    told += (done ? "committed" : done.error().code) + " ";
  }
  CHECK(told == "constraint committed constraint internal committed internal committed ");
  CHECK(hooks == std::vector<std::string>{"b", "e", "g"});
  CHECK(count() == 6);
}

TEST_CASE_FIXTURE(House, ON_POSTGRES("a connection that is cut under what a job put off fails its whole group, and none of its hooks runs")) {
  std::atomic<int> hooks{0};
  auto const hooked = [&](Tx& tx) -> Result<void> {
    tx.after_commit([&] { ++hooks; });
    return put(tx, "one");
  };
  auto const last = [&](Tx& tx) -> Result<void> {
    FLEET_CHECK(cut(tx));
    return put(tx, "two");
  };
  auto answers = group({hooked, last});
  for (auto& answer : answers) CHECK(answer.get().error().code == "database_gone");
  CHECK(count() == 0);
  CHECK(hooks == 0);
  CHECK(store->write_wait(Lane::verbs, hooked).has_value());
  CHECK(hooks == 1);
}
