#include "server/store/lease.hpp"
#include "server/store/store.hpp"
#include "tests/support/postgres.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

using namespace fleet;
using store::Change;
using store::Lane;
using store::Store;
using store::Tx;

namespace {

constexpr db::Query kRead{"test.read", "SELECT value FROM settings WHERE name = 'n'"};
constexpr db::Query kWrite{"test.write", "INSERT INTO settings (name, value) VALUES ('n', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value"};

std::unique_ptr<Store> open(std::string const& url, std::string const& node) {
  auto opened = Store::open(url, system_clock(), node);
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
  return std::move(*opened);
}

/// A clock that a test moves.
struct Moved final : Clock {
  [[nodiscard]] SysTime wall() const override { return SysTime{} + since; }
  [[nodiscard]] MonoTime mono() const override { return MonoTime{} + since; }
  Millis since{1'000'000};
};

struct Two {
  test::PostgresDatabase database;
  std::unique_ptr<Store> a = open(database.url, "node-a"), b = open(database.url, "node-b");

  /// Hears of everything that was written until now.
  static void follow(Store& store) { REQUIRE(store.turns().follow(store.reader(), system_clock().mono()).has_value()); }
};

}  // namespace

#define ON_POSTGRES(name) name* doctest::skip(!test::has_postgres())

TEST_CASE_FIXTURE(Two, ON_POSTGRES("what one server remembers and another changed is stale before the next job of the first, and by its feed")) {
  follow(*b);
  auto const policy = b->epochs().policy();
  auto const events = b->epochs().events();
  auto const device = b->epochs().device(7);
  std::vector<std::string> heard;
  b->turns().on_change([&](Change const& change, db::Connection* writing) {
    if (writing != nullptr) heard.push_back(change.what + " " + change.which);
  });
  REQUIRE(b->write_wait(Lane::verbs, [](Tx&) -> Result<void> { return {}; }).has_value());
  heard.clear();
  auto const raise = [](Tx& tx) -> Result<void> {
    tx.raise_policy_epoch();
    tx.raise_device_epoch(7);
    tx.raise_event_epoch();
    tx.tell_others("rollout", "3");
    tx.tell_others("rollout", "3");
    return {};
  };
  REQUIRE(a->write_wait(Lane::verbs, raise).has_value());
  bool stale = false;
  REQUIRE(b->write_wait(Lane::verbs, [&](Tx&) -> Result<void> {
             stale = b->epochs().policy() > policy && b->epochs().device(7) != device && b->epochs().events() > events;
             return {};
           }).has_value());
  CHECK_MESSAGE(stale, "before the job ran");
  CHECK_MESSAGE(std::set<std::string>(heard.begin(), heard.end()).size() == heard.size(), "each once");
  CHECK(std::find(heard.begin(), heard.end(), "rollout 3") != heard.end());
  CHECK_MESSAGE(heard.back() == "heard ", "and that it was all");
  auto const before = b->epochs().policy();
  follow(*b);
  CHECK_MESSAGE(b->epochs().policy() > before, "the feed has a place of its own in what was told");
  auto const mine = a->epochs().policy();
  follow(*a);
  follow(*a);
  CHECK_MESSAGE(a->epochs().policy() <= mine + 1, "what it wrote itself tells it nothing");
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("what a job that failed changed is told to nobody")) {
  follow(*b);
  REQUIRE(a->write_wait(Lane::verbs, [](Tx& tx) -> Result<void> {
             tx.raise_policy_epoch();
             return {};
           }).has_value());
  follow(*b);
  auto const before = b->epochs().policy();
  CHECK(!a->write_wait(Lane::verbs, [](Tx& tx) -> Result<void> {
           tx.raise_policy_epoch();
           return Error{Kind::conflict, "no", "no"};
         }).has_value());
  follow(*b);
  CHECK(b->epochs().policy() == before);
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("servers that read, decide by what they read and write lose nothing of each other's")) {
  constexpr int kEach = 200;
  auto const count = [](Store& store) {
    for (int i = 0; i < kEach; ++i) {
      auto const job = [](Tx& tx) -> Result<void> {
        std::int64_t n = 0;
        {
          auto row = tx.prepare(kRead);
          FLEET_TRY(bool const found, row.step());
          if (found) n = std::stoll(row.text(0));
        }
        return tx.prepare(kWrite).bind_all(std::to_string(n + 1)).run();
      };
      if (auto const written = store.write_wait(Lane::verbs, job); !written) FAIL_CHECK(written.error().detail);
    }
  };
  std::thread other([&] { count(*b); });
  count(*a);
  other.join();
  auto row = a->reader().prepare(kRead);
  REQUIRE(row.step().value());
  CHECK(row.text(0) == std::to_string(2 * kEach));
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("a node runs once, and nobody is alone beside one")) {
  auto const again = Store::open(database.url, system_clock(), "node-a");
  REQUIRE(!again.has_value());
  CHECK(again.error().code == "database_in_use");
  auto const alone = Store::open(database.url, system_clock());
  REQUIRE(!alone.has_value());
  CHECK(alone.error().code == "database_in_use");
  a->close();
  CHECK(Store::open(database.url, system_clock(), "node-a").has_value());
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("who is far behind forgets everything it remembers")) {
  follow(*b);
  REQUIRE(a->write_wait(Lane::verbs, [](Tx& tx) -> Result<void> {
             tx.tell_others("rollout", "1");
             FLEET_CHECK(tx.prepare({"test.far", "UPDATE turns SET n = n + 50000 WHERE one = 1"}).run());
             return {};
           }).has_value());
  REQUIRE(a->write_wait(Lane::verbs, [](Tx& tx) -> Result<void> {
             tx.tell_others("rollout", "2");
             return tx.prepare({"test.cut", "DELETE FROM told"}).run();
           }).has_value());
  auto const before = b->epochs().policy();
  follow(*b);
  CHECK(b->epochs().policy() > before);
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("one leads; another takes over where nothing is heard of it, and it writes nothing more")) {
  Moved of_a, of_b;
  store::Lease first(*a, of_a, "lead"), second(*b, of_b, "lead");
  CHECK(first.beat(Millis{100}).value().is_new);
  CHECK(!second.beat(Millis{0}).value().is_held);
  CHECK(first.beat(Millis{900}).value().is_held);
  auto const seen = second.beat(Millis{0}).value();
  CHECK(seen.holder == "node-a");
  CHECK_MESSAGE(seen.service == Millis{900}, "time of service goes on at the others");

  of_b.since += store::Lease::kPatience - Millis{1};
  CHECK_MESSAGE(!second.beat(Millis{0}).value().is_held, "patience, by its own clock");
  REQUIRE(first.beat(Millis{1'000}).has_value());
  of_b.since += store::Lease::kPatience;
  CHECK_MESSAGE(!second.beat(Millis{0}).value().is_held, "it was heard meanwhile");
  of_b.since += store::Lease::kPatience;
  auto const taken = second.beat(Millis{0}).value();
  CHECK(taken.is_new);
  CHECK(taken.service == Millis{1'000});

  auto const stale = a->write_wait(Lane::verbs, first.fenced([](Tx& tx) { return tx.prepare(kWrite).bind_all("former").run(); }));
  REQUIRE(!stale.has_value());
  CHECK(stale.error().code == "lease_lost");
  CHECK(b->write_wait(Lane::verbs, second.fenced([](Tx& tx) { return tx.prepare(kWrite).bind_all("now").run(); })).has_value());
  CHECK_MESSAGE(first.is_held(), "it does not know yet");
  CHECK(!first.beat(Millis{2'000}).value().is_held);
  CHECK(!first.is_held());
  second.give_back();
  CHECK_MESSAGE(first.beat(Millis{0}).value().is_new, "at once where it was given back");
}

TEST_CASE_FIXTURE(Two, ON_POSTGRES("what is remembered is believed as long as the others are heard")) {
  auto const now = system_clock().mono();
  CHECK_MESSAGE(a->turns().is_current(now), "nobody else is there");
  a->turns().set_others(1);
  CHECK(!a->turns().is_current(now + std::chrono::hours{1}));
  REQUIRE(a->turns().follow(a->reader(), now).has_value());
  CHECK(a->turns().is_current(now + store::Turns::kFresh));
  CHECK(!a->turns().is_current(now + store::Turns::kFresh + Millis{1}));
}
