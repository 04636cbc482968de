#include "core/base/random.hpp"
#include "server/store/store.hpp"
#include "tests/support/postgres.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

using namespace fleet;
using store::Lane;
using store::Store;
using store::Tx;

namespace {

constexpr db::Query kPut{"test.put", "INSERT INTO settings (name, value) VALUES (?1, ?2)"};
constexpr db::Query kGet{"test.get", "SELECT value FROM settings WHERE name = ?1"};
constexpr db::Query kSet{"test.set", "UPDATE settings SET value = ?2 WHERE name = ?1"};

struct Place {
  Place() {
    if (test::has_postgres()) path = database.emplace().url;
    else std::filesystem::create_directories(path);
  }
  ~Place() { std::filesystem::remove_all(path); }
  Place(Place const&) = delete;
  std::optional<test::PostgresDatabase> database;
  std::string path = (std::filesystem::temp_directory_path() / make_ulid("fleet-fold-", 0, system_random())).string();
};

Result<std::string> read(db::Connection& connection, std::int64_t key) {
  auto row = connection.prepare(kGet);
  FLEET_TRY(bool const found, row.bind(1, std::to_string(key)).step());
  return found ? row.text(0) : "-";
}

/// Reads the value of each key.
struct Values final : store::Fold {
  std::map<std::int64_t, std::string> loaded;
  std::vector<std::vector<std::int64_t>> loads;
  std::int64_t refuses = 0;  ///< to load this key
  Result<void> load(Tx& tx, std::span<std::int64_t const> keys) override {
    loads.emplace_back(keys.begin(), keys.end());
    loaded.clear();
    for (auto const key : keys) {
      if (key == refuses) return Error{Kind::internal, "refused", "a key that is not read"};
      FLEET_TRY(loaded[key], read(tx.connection(), key));
    }
    return {};
  }
};

enum class Fails { no, refuses, breaks_a_rule, hides_it, throws };

struct House : Place {
  std::unique_ptr<Store> store = [this] {
    auto opened = Store::open(path, system_clock());
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    return std::move(*opened);
  }();
  std::shared_ptr<Values> values = std::make_shared<Values>();
  std::vector<std::string> hooks, answers;

  /// Appends a word to the key's value as it was loaded.
  Store::Job append(std::int64_t key, std::string const& word, Fails fails) {
    return [this, key, word, fails](Tx& tx) -> Result<void> {
      auto const before = values->loaded.at(key);
      bool const fresh = before == "-";
      FLEET_CHECK(tx.prepare(fresh ? kPut : kSet).bind_all(std::to_string(key), fresh ? word : before + word).run());
      tx.after_commit([this, word] { hooks.push_back(word); });
      if (fails == Fails::refuses) return Error{Kind::conflict, "refused", "the job refuses"};
      if (fails == Fails::throws) throw std::runtime_error("a bug");
      if (fails == Fails::breaks_a_rule) FLEET_CHECK(tx.prepare(kPut).bind_all(std::to_string(key), "twice").run());
      // SQLite goes on after it, and a job that hides it has done what it did.
      if (fails == Fails::hides_it && test::has_postgres()) static_cast<void>(tx.prepare(kPut).bind_all(std::to_string(key), "twice").affected());
      return {};
    };
  }
  void queue(std::int64_t key, std::string const& word, Fails fails = Fails::no, Lane lane = Lane::telemetry) {
    store->fold(lane, values, key, append(key, word, fails),
                [this, word](Result<void> const& done) { answers.push_back(done ? word : word + ":" + done.error().code); });
  }
  /// What is queued meanwhile is written as one group.
  template <class F>
  void as_group(F const& fill) {
    std::promise<void> entered, gate;
    store->write(
        Lane::verbs,
        [&](Tx&) -> Result<void> {
          entered.set_value();
          gate.get_future().wait();
          return {};
        },
        [](Result<void> const&) {});
    entered.get_future().wait();
    fill();
    gate.set_value();
    std::promise<void> ended;
    store->write(
        Lane::upkeep, [](Tx&) -> Result<void> { return {}; }, [&](Result<void> const&) { ended.set_value(); });
    ended.get_future().wait();
  }
  std::string value(std::int64_t key) { return *read(store->reader(), key); }
};

using Words = std::vector<std::string>;
using Loads = std::vector<std::vector<std::int64_t>>;

}  // namespace

TEST_CASE_FIXTURE(House, "jobs of a fold are read for together, each key once, and written in their order") {
  as_group([&] {
    for (auto const key : {3, 1, 2}) queue(key, fmt::format("a{}", key));
    queue(1, "b1");
    queue(3, "b3");
    store->write(
        Lane::telemetry, [](Tx&) -> Result<void> { return {}; }, [&](Result<void> const&) { answers.push_back("other"); });
    queue(2, "c2");
  });
  CHECK(values->loads == Loads{{3, 1, 2}, {1, 3}, {2}});
  CHECK(answers == Words{"a3", "a1", "a2", "b1", "b3", "other", "c2"});
  CHECK(hooks == Words{"a3", "a1", "a2", "b1", "b3", "c2"});
  CHECK(value(1) == "a1b1");
  CHECK(value(2) == "a2c2");
  CHECK(value(3) == "a3b3");
}

TEST_CASE_FIXTURE(House, "whoever fails in a fold fails alone, however; the others are committed once, and their hooks run once") {
  std::map<Fails, std::string> const codes{
      {Fails::refuses, "refused"}, {Fails::breaks_a_rule, "constraint"}, {Fails::throws, "internal"}, {Fails::hides_it, "transaction_failed"}};
  std::int64_t key = 0;
  for (auto const& [fails, code] : codes) {
    if (fails == Fails::hides_it && !test::has_postgres()) continue;
    for (int const place : {0, 2, 4}) {
      CAPTURE(code);
      CAPTURE(place);
      hooks.clear();
      answers.clear();
      values->loads.clear();
      auto const first = key;
      as_group([&] {
        for (int i = 0; i < 5; ++i, ++key) queue(key, fmt::format("w{}", i), i == place ? fails : Fails::no);
      });
      Words expected, all;
      for (int i = 0; i < 5; ++i) {
        auto const word = fmt::format("w{}", i);
        CHECK(value(first + i) == (i == place ? "-" : word));
        all.push_back(i == place ? word + ":" + code : word);
        if (i != place) expected.push_back(word);
      }
      CHECK(hooks == expected);
      CHECK(answers == all);
      CHECK(values->loads.size() == 6);
    }
  }
}

TEST_CASE_FIXTURE(House, "where a fold cannot be read for together each job is read for by itself") {
  values->refuses = 2;
  as_group([&] {
    for (std::int64_t key = 1; key <= 3; ++key) queue(key, fmt::format("a{}", key));
  });
  CHECK(answers == Words{"a1", "a2:refused", "a3"});
  CHECK(hooks == Words{"a1", "a3"});
}

TEST_CASE_FIXTURE(House, "a fold has a bound, and lanes keep their order") {
  as_group([&] {
    for (std::int64_t key = 1; key <= 150; ++key) queue(key, "t");
    for (std::int64_t key = 201; key <= 203; ++key) queue(key, "d", Fails::no, Lane::devices);
  });
  REQUIRE(values->loads.size() >= 4);
  CHECK(values->loads[0] == std::vector<std::int64_t>{201, 202, 203});
  std::vector<std::int64_t> order;
  for (auto const& keys : values->loads) {
    CHECK(keys.size() <= store::Lanes::kFoldMax);
    order.insert(order.end(), keys.begin(), keys.end());
  }
  CHECK(order.size() == 153);
  CHECK(std::is_sorted(order.begin() + 3, order.end()));
  CHECK(answers.size() == 153);
}

TEST_CASE_FIXTURE(House, "a connection that is cut in a fold fails its whole group, and the next one is written" * doctest::skip(!test::has_postgres())) {
  as_group([&] {
    queue(1, "a1");
    store->fold(
        Lane::telemetry, values, 2,
        [&](Tx& tx) -> Result<void> {
          FLEET_TRY(auto const pid, tx.prepare({"test.who", "SELECT pg_backend_pid()"}).returned());
          // By another connection of the same server: this one is the only that writes.
          auto cut = store->reader().prepare({"test.cut", "SELECT pg_terminate_backend(CAST(?1 AS INT), 5000)"});
          FLEET_CHECK(cut.bind_all(pid).step());
          return append(2, "a2", Fails::no)(tx);
        },
        [&](Result<void> const& done) { answers.push_back(done ? "a2" : "a2:" + done.error().code); });
    queue(3, "a3");
  });
  CHECK(answers == Words{"a1:database_gone", "a2:database_gone", "a3:database_gone"});
  CHECK(hooks.empty());
  CHECK(value(1) == "-");
  as_group([&] { queue(1, "b1"); });
  CHECK(value(1) == "b1");
}
