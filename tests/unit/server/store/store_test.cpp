#include "server/store/store.hpp"
#include "core/base/random.hpp"
#include "server/store/moment.hpp"
#include "server/store/sqlite/sqlite.hpp"
#include "tests/support/postgres.hpp"
#include "tests/unit/server/store/failing_disk.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <future>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace fleet;
using store::Store;
using store::Tx;
using test::FailingDisk;

namespace {

constexpr db::Query kPut{"test.put", "INSERT INTO settings (name, value) VALUES (?1, ?2)"};
constexpr db::Query kCount{"test.count", "SELECT count(*) FROM settings"};
constexpr db::Query kGet{"test.get", "SELECT value FROM settings WHERE name = ?1"};
Error const kRefused{Kind::conflict, "refused", "the job refuses"};

void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }

/// Cases named so are about SQLite's files and run on it alone; all others run on either engine.
#define ON_SQLITE "[sqlite] "

/// @param place  a folder, or a PostgreSQL's URL
std::unique_ptr<Store> open(std::string const& place) {
  auto opened = Store::open(place, system_clock());
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
  return std::move(*opened);
}

struct Folder {
  Folder() : path((std::filesystem::temp_directory_path() / make_ulid("fleet-store-", 0, system_random())).string()) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(Folder const&) = delete;
  std::string path;
};

/// Where a store may be: in the PostgreSQL that tests/support/with_postgres started, else in a folder.
struct Place {
  std::optional<test::PostgresDatabase> database;
  std::optional<Folder> folder;
  std::string path = test::has_postgres() ? database.emplace().url : folder.emplace().path;
};

struct House : Place {
  std::unique_ptr<Store> store = open(path);

  static Store::Job put(std::string name, std::string value = "x") {
    return [name = std::move(name), value = std::move(value)](Tx& tx) { return tx.prepare(kPut).bind_all(name, value).run(); };
  }
  std::int64_t count() {
    auto row = store->reader().prepare(kCount);
    REQUIRE(*row.step());
    return row.int64(0);
  }
  bool has(std::string const& name) {
    auto row = store->reader().prepare(kGet);
    return *row.bind(1, name).step();
  }
  /// A text as bytes, in the engine's word for the type.
  [[nodiscard]] std::string bytes(std::string const& text) const { return "CAST(" + text + (database ? " AS BYTEA)" : " AS BLOB)"); }
  void script(std::string const& sql) {
    must(store->write_wait(store::Lane::verbs, [&](Tx& tx) { return tx.connection().script(sql); }));
  }
  std::future<Result<void>> start(Store::Job job, store::Lane lane = store::Lane::verbs) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    store->write(lane, std::move(job), [promise](Result<void> done) { promise->set_value(std::move(done)); });
    return promise->get_future();
  }
};

/// Holds the writer, so that what is queued meanwhile is committed as one group.
struct HeldWriter {
  explicit HeldWriter(House& house) {
    auto entered = std::make_shared<std::promise<void>>();
    auto wait = entered->get_future();
    house.store->write(
       store::Lane::verbs, [entered, gate = gate.get_future().share()](Tx&) -> Result<void> {
          entered->set_value();
          gate.wait();
          return {};
        },
        [](Result<void> const&) {});
    wait.wait();
  }
  void let_go() { gate.set_value(); }
  std::promise<void> gate;
};

}  // namespace

TEST_CASE_FIXTURE(House, "a write is seen by every reader once it is done") {
  must(store->write_wait(store::Lane::verbs, put("one")));
  CHECK(has("one"));
  std::thread other([this] { CHECK(has("one")); });
  other.join();
}

TEST_CASE_FIXTURE(House, "reads of one moment see nothing that is committed meanwhile, and what comes after them does") {
  must(store->write_wait(store::Lane::verbs, put("one")));
  auto const before = count();
  auto const seen = store::at_one_moment(store->reader(), [&]() -> Result<std::int64_t> {
    REQUIRE(count() == before);
    must(store->write_wait(store::Lane::verbs, put("two")));
    return count();
  });
  REQUIRE(seen.has_value());
  CHECK(*seen == before);
  CHECK(count() == before + 1);
  auto const failed = store::at_one_moment(store->reader(), [&]() -> Result<std::int64_t> { return kRefused; });
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == "refused");
  must(store->write_wait(store::Lane::verbs, put("three")));
  CHECK(count() == before + 2);
}

TEST_CASE_FIXTURE(House, ON_SQLITE "what is queued together is committed with one sync, and all of it is there") {
  constexpr int kThreads = 8, kEach = 125;
  must(store->write_wait(store::Lane::verbs, put("first")));
  HeldWriter held(*this);
  auto const before = FailingDisk::syncs.load();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  std::promise<void> all;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        store->write(store::Lane::verbs, put("k" + std::to_string(t) + "." + std::to_string(i)), [&](Result<void> const& done) {
          if (done && ++good == kThreads * kEach) all.set_value();
        });
    });
  for (auto& thread : threads) thread.join();
  held.let_go();
  REQUIRE(all.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  CHECK(count() == kThreads * kEach + 1);
  CHECK(FailingDisk::syncs - before <= 6);  // of 1,000 jobs
}

TEST_CASE_FIXTURE(House, "jobs run in the order in which they were queued") {
  HeldWriter held(*this);
  std::vector<std::future<Result<void>>> done;
  std::vector<int> ran;  // on the writer's thread
  for (int i = 0; i < 50; ++i)
    done.push_back(start([&ran, i](Tx&) -> Result<void> {
      ran.push_back(i);
      return {};
    }));
  held.let_go();
  for (auto& one : done) must(one.get());
  CHECK(std::is_sorted(ran.begin(), ran.end()));
  CHECK(ran.size() == 50);
}

TEST_CASE_FIXTURE(House, "a verb waits for no more than the group under way, however much a fleet has queued before it") {
  HeldWriter held(*this);
  std::vector<std::future<Result<void>>> reports;
  std::atomic<int> ran{0};
  for (int i = 0; i < 500; ++i)
    reports.push_back(start(
        [&ran](Tx&) -> Result<void> {
          ++ran;
          return {};
        },
        store::Lane::telemetry));
  int before = -1;
  auto verb = start([&](Tx&) -> Result<void> {
    before = ran;
    return {};
  });
  held.let_go();
  must(verb.get());
  for (auto& one : reports) must(one.get());
  CHECK(before <= 1);  // the lane's share of the group that the writer was held in
  CHECK(ran == 500);
}

TEST_CASE_FIXTURE(House, "a full lane refuses at once and the others go on") {
  HeldWriter held(*this);
  std::vector<std::future<Result<void>>> pieces;
  for (std::size_t i = 0; i < store::kLaneRules[3].waiting_max; ++i) pieces.push_back(start(put("u" + std::to_string(i)), store::Lane::upkeep));
  auto const refused = start(put("one more"), store::Lane::upkeep).get();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == Kind::unavailable);
  CHECK(refused.error().code == "busy");
  auto verb = start(put("verb"));
  CHECK(store->lanes()[3].refused == 1);
  held.let_go();
  must(verb.get());
  for (auto& one : pieces) must(one.get());
  CHECK(count() == static_cast<std::int64_t>(store::kLaneRules[3].waiting_max) + 1);
}

TEST_CASE_FIXTURE(House, "a job that fails takes back its own writes and nobody else's") {
  HeldWriter held(*this);
  auto before = start(put("before"));
  auto refusing = start([](Tx& tx) -> Result<void> {
    FLEET_CHECK(put("undone")(tx));
    return kRefused;
  });
  auto twice = start(put("before"));
  auto throwing = start([](Tx& tx) -> Result<void> {
    FLEET_CHECK(put("thrown")(tx));
    throw std::runtime_error("a bug");
  });
  auto after = start(put("after"));
  held.let_go();
  must(before.get());
  CHECK(refusing.get().error().code == "refused");
  CHECK(twice.get().error().code == "constraint");
  CHECK(throwing.get().error().kind == Kind::internal);
  must(after.get());
  CHECK(has("before"));
  CHECK(has("after"));
  CHECK_FALSE(has("undone"));
  CHECK_FALSE(has("thrown"));
}

TEST_CASE_FIXTURE(House, "hooks run after the commit, before the answer, and only of jobs that succeeded") {
  std::vector<std::string> order;
  auto const job = [&](Tx& tx) -> Result<void> {
    tx.after_commit([&] { order.push_back(has("hooked") ? "hook sees it" : "hook too early"); });
    return put("hooked")(tx);
  };
  std::promise<void> answered;
  store->write(store::Lane::verbs, job, [&](Result<void> const&) {
    order.push_back("answer");
    answered.set_value();
  });
  answered.get_future().wait();
  CHECK(order == std::vector<std::string>{"hook sees it", "answer"});

  auto const failing = [&](Tx& tx) -> Result<void> {
    tx.after_commit([&] { order.push_back("never"); });
    tx.raise_policy_epoch();
    tx.raise_device_epoch(3);
    return kRefused;
  };
  auto const policy = store->epochs().policy();
  CHECK_FALSE(store->write_wait(store::Lane::verbs, failing).has_value());
  CHECK(order.size() == 2);
  CHECK(store->epochs().policy() == policy);
  CHECK(store->epochs().device(3) == 0);
}

TEST_CASE_FIXTURE(House, "epochs rise after the commit that raises them") {
  auto const policy = store->epochs().policy();
  std::uint64_t during = 0;
  must(store->write_wait(store::Lane::verbs, [&](Tx& tx) -> Result<void> {
    tx.raise_policy_epoch();
    tx.raise_device_epoch(7);
    tx.raise_device_epoch(70'000);
    during = store->epochs().policy();
    return {};
  }));
  CHECK(during == policy);
  CHECK(store->epochs().policy() == policy + 1);
  CHECK(store->epochs().device(7) == 1);
  CHECK(store->epochs().device(70'000) == 1);
  CHECK(store->epochs().device(8) == 0);
}

TEST_CASE("a device beyond the table of epochs raises everybody's") {
  store::Epochs epochs;
  auto const before = epochs.policy();
  epochs.raise_device(std::int64_t{1} << 40);
  CHECK(epochs.policy() == before + 1);
  CHECK(epochs.device(std::int64_t{1} << 40) == 0);
}

TEST_CASE_FIXTURE(House, "a callback that throws does not keep the others of its group from their answers") {
  HeldWriter held(*this);
  store->write(
     store::Lane::verbs, [](Tx& tx) -> Result<void> {
        tx.after_commit([] { throw std::runtime_error("hook"); });
        return {};
      },
      [](Result<void> const&) { throw std::runtime_error("answer"); });
  auto other = start(put("other"));
  held.let_go();
  must(other.get());
  CHECK(has("other"));
}

TEST_CASE_FIXTURE(House, ON_SQLITE "a full database fails its whole group, and the next one is written") {
  script("PRAGMA max_page_count=110");
  HeldWriter held(*this);
  auto small = start(put("small"));
  auto big = start(put("big", std::string(2'000'000, 'x')));
  auto later = start(put("later"));
  held.let_go();
  for (auto* one : {&small, &big}) {
    auto const done = one->get();
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code == "disk_full");
  }
  must(later.get());
  CHECK(count() == 1);
  script("PRAGMA max_page_count=100000");
  must(store->write_wait(store::Lane::verbs, put("big", std::string(2'000'000, 'x'))));
  CHECK(count() == 2);
  CHECK(sqlite::check(store->reader())->empty());
}

TEST_CASE_FIXTURE(House, ON_SQLITE "a disk that is full at the commit acknowledges nothing, and nothing is lost") {
  must(store->write_wait(store::Lane::verbs, put("before")));
  FailingDisk::write_errno = ENOSPC;
  auto const full = store->write_wait(store::Lane::verbs, put("full"));
  FailingDisk::write_errno = 0;
  REQUIRE_FALSE(full.has_value());
  CHECK(full.error().code == "disk_full");
  CHECK_FALSE(has("full"));
  must(store->write_wait(store::Lane::verbs, put("after")));
  store->close();
  store = open(path);
  CHECK(has("before"));
  CHECK(has("after"));
  CHECK_FALSE(has("full"));
}

TEST_CASE_FIXTURE(House, "contacts are seen at once and written with the next flush") {
  script(
      "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (1, 'cam-1', 'a', 'active', " + bytes("'1'") + ", 0, 0), "
      "(2, 'cam-2', 'a', 'active', " + bytes("'2'") + ", 0, 0)");
  auto const seen = from_unix_ms(1'000'000);
  CHECK(store->last_contact(1) == SysTime{});
  store->note_contact(2, {seen, 900, 60});
  store->note_contact(1, {seen, 900, 60});
  store->note_contact(1, {seen + Millis{5}, 300, 60});
  store->note_contact(99, {seen, 900, 60});  // deleted meanwhile
  CHECK(store->last_contact(1) == seen + Millis{5});
  store->close();
  store = open(path);
  CHECK(store->last_contact(1) == seen + Millis{5});
  CHECK(store->last_contact(2) == seen);
  CHECK(store->last_contact(99) == SysTime{});
  auto row = store->reader().prepare({"test.contacts", "SELECT count(*), min(poll_every_s) FROM contacts"});
  REQUIRE(*row.step());
  CHECK(row.int64(0) == 2);
  CHECK(row.int64(1) == 300);
}

TEST_CASE_FIXTURE(House, "contacts of a whole fleet are written in pieces, and each is seen all the while") {
  constexpr int kDevices = 4'500;
  script("WITH RECURSIVE k(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM k WHERE n < 4500) INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, "
         "created_at) SELECT n, 'cam-' || n, 'a', 'active', " + bytes("CAST(n AS TEXT)") + ", 0, 0 FROM k");
  auto const seen = from_unix_ms(1'000'000);
  for (int n = 1; n <= kDevices; ++n) store->note_contact(n, {seen, 900, 60});
  store->close();
  for (int n = 1; n <= kDevices; n += 499) CHECK(store->last_contact(n) == seen);
  store = open(path);
  auto row = store->reader().prepare({"test.contacts", "SELECT count(*), min(seen_at) FROM contacts"});
  REQUIRE(*row.step());
  CHECK(row.int64(0) == kDevices);
  CHECK(row.int64(1) == to_unix_ms(seen));
}

TEST_CASE_FIXTURE(House, "closing finishes what is queued and refuses what comes later") {
  std::vector<std::future<Result<void>>> queued;
  {
    HeldWriter held(*this);
    for (int i = 0; i < 20; ++i) queued.push_back(start(put("q" + std::to_string(i))));
    held.let_go();
  }
  store->close();
  for (auto& one : queued) must(one.get());
  CHECK(store->write_wait(store::Lane::verbs, put("late")).error().code == "shutting_down");
  store = open(path);
  CHECK(count() == 20);
}

TEST_CASE_FIXTURE(House, ON_SQLITE "the log does not grow without end") {
  for (int i = 0; i < 40; ++i) must(store->write_wait(store::Lane::verbs, put("k" + std::to_string(i), std::string(400'000, 'x'))));
  CHECK(std::filesystem::file_size(path + "/fleet.db") > 4'000'000);
  CHECK(std::filesystem::file_size(path + "/fleet.db-wal") < 14'000'000);
}

// A failed commit ends the process, so a child shows it. Nothing may have started a thread before the fork.
namespace {

struct Died {
  int status = 0;
  std::string acknowledged;
};

/// The child writes what it is told was done to a pipe; `harm` is what happens to the disk before its second write.
Died run_child(std::string const& path, void (*harm)()) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  auto const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto const say = [&](char word) {
      if (::write(ends[1], &word, 1) != 1) ::_exit(9);
    };
    auto opened = Store::open(path, system_clock());
    if (!opened) ::_exit(8);
    if ((*opened)->write_wait(store::Lane::verbs, House::put("good"))) say('g');
    harm();
    (*opened)->write(
        store::Lane::verbs, [](Tx& tx) -> Result<void> {
          tx.after_commit([] { ::_exit(7); });
          return House::put("bad")(tx);
        },
        [&](Result<void> const&) { say('b'); });
    (*opened)->close();
    ::_exit(0);
  }
  ::close(ends[1]);
  Died out;
  char word = 0;
  while (::read(ends[0], &word, 1) == 1) out.acknowledged += word;
  ::close(ends[0]);
  REQUIRE(::waitpid(child, &out.status, 0) == child);
  return out;
}

}  // namespace

TEST_CASE(ON_SQLITE "a commit that the disk fails ends the process before anything is acknowledged") {
  struct Case {
    char const* what;
    void (*harm)();
    bool may_be_there;  // bytes that were written and could not be synced may have reached the disk
  };
  for (auto const& [what, harm, may_be_there] :
       {Case{"fsync", [] { FailingDisk::sync_errno = EIO; }, true}, Case{"write", [] { FailingDisk::write_errno = EIO; }, false}}) {
    CAPTURE(what);
    Folder folder;
    auto const died = run_child(folder.path, harm);
    REQUIRE(WIFEXITED(died.status));
    CHECK(WEXITSTATUS(died.status) == 1);
    CHECK(died.acknowledged == "g");
    auto const store = open(folder.path);
    auto good = store->reader().prepare(kGet);
    CHECK(*good.bind(1, "good").step());
    auto bad = store->reader().prepare(kGet);
    bool const there = *bad.bind(1, "bad").step();
    CHECK((may_be_there || !there));
    store->close();
  }
}
