#include "server/events/audit.hpp"
#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace fleet;

namespace {

void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }

struct Log {
  std::string dir = (std::filesystem::temp_directory_path() / make_ulid("fleet-audit-", 0, system_random())).string();
  std::unique_ptr<store::Store> store;
  crypto::SigningKey key = crypto::SigningKey::generate(system_random());

  Log() {
    std::filesystem::create_directories(dir);
    auto opened = store::Store::open(dir, system_clock());
    REQUIRE(opened.has_value());
    store = std::move(*opened);
  }
  ~Log() {
    store->close();
    std::filesystem::remove_all(dir);
  }
  Log(Log const&) = delete;

  static events::Entry entry(int i) {
    return {from_unix_ms(1'000 + i),  "token:ann", "device.retired",          "device/cam-" + std::to_string(i), R"({"state":"active"})",
            R"({"state":"retired"})", "broken",    "req-" + std::to_string(i)};
  }
  void fill(int count) {
    for (int i = 1; i <= count; ++i) must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return events::record(tx, entry(i)); }));
  }
  void script(std::string const& sql) {
    must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return tx.connection().script(sql); }));
  }
  events::KeptCheckpoint sign() {
    auto made = store->write_value<events::KeptCheckpoint>(store::Lane::verbs, [&](store::Tx& tx) { return events::checkpoint(tx, key, from_unix_ms(5'000)); });
    REQUIRE(made.has_value());
    return *made;
  }
  std::string read(std::string const& sql) {
    auto row = store->reader().prepare({sql, sql});
    REQUIRE(*row.step());
    return row.text(0);
  }
  std::string verdict() {
    auto const sound = events::verify(store->reader(), key.public_key());
    return sound ? "sound" : sound.error().code + ": " + sound.error().detail;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Log, "entries are chained and their events told") {
  CHECK(verdict() == "sound");
  fill(5);
  CHECK(verdict() == "sound");
  CHECK(read("SELECT hex(prev) FROM audit WHERE seq = 1") == std::string(64, '0'));
  CHECK(read("SELECT (SELECT hash FROM audit WHERE seq = 2) = (SELECT prev FROM audit WHERE seq = 3)") == "1");
  CHECK(read("SELECT count(*) || type || subject || actor || data FROM events WHERE id = 2") == R"(1device.retireddevice/cam-2token:ann{"state":"retired"})");
}

TEST_CASE_FIXTURE(Log, "an event without data has an empty object") {
  must(store->write_wait(store::Lane::verbs, [](store::Tx& tx) { return events::emit(tx, from_unix_ms(5), "server.started", "server", "system", ""); }));
  CHECK(read("SELECT data FROM events") == "{}");
  CHECK(read("SELECT count(*) FROM audit") == "0");
}

TEST_CASE("whatever is changed or removed, the first bad entry is named") {
  struct Case {
    std::string what, sql, says;
  };
  std::vector<Case> cases{
      {"an entry removed", "DELETE FROM audit WHERE seq = 3", "audit_gap: audit entry 3 is missing"},
      {"the first removed", "DELETE FROM audit WHERE seq = 1", "audit_gap: audit entry 1 is missing"},
      {"two swapped", "UPDATE audit SET seq = 100 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 100",
       "audit_changed: audit entry 2"},
      {"hash and previous of one", "UPDATE audit SET prev = hash, hash = prev WHERE seq = 4", "audit_changed: audit entry 4"},
      {"a hash that is none", "UPDATE audit SET hash = x'00' WHERE seq = 5", "audit_changed: audit entry 5"},
      {"text moved over a border", "UPDATE audit SET actor = 'token:annd', action = 'evice.retired' WHERE seq = 2", "audit_changed: audit entry 2"},
  };
  for (auto const* const column :
       {"time = time + 1", "actor = 'token:eve'", "action = 'x'", "subject = 'x'", "before = 'x'", "after = NULL", "reason = ''", "request_id = 'x'"})
    cases.push_back({column, std::string("UPDATE audit SET ") + column + " WHERE seq = 4", "audit_changed: audit entry 4"});
  for (auto const& [what, sql, says] : cases) {
    CAPTURE(what);
    Log log;
    log.fill(6);
    log.script(sql);
    CHECK_MESSAGE(log.verdict().starts_with(says), log.verdict());
  }
}

TEST_CASE_FIXTURE(Log, "an entry shares the fate of the change it tells of") {
  auto const failing = store->write_wait(store::Lane::verbs, [](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(events::record(tx, entry(1)));
    return Error{Kind::conflict, "refused", "refused"};
  });
  CHECK_FALSE(failing.has_value());
  CHECK(read("SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM events)") == "0");
  fill(2);
  CHECK(verdict() == "sound");
}

TEST_CASE_FIXTURE(Log, "the head is signed once; an end that was cut off, or written anew, does not fit what was signed") {
  fill(3);
  auto const first = sign();
  CHECK(first.seq == 3);
  CHECK(sign().envelope == first.envelope);
  fill(2);
  CHECK(sign().seq == 5);
  CHECK(events::list_checkpoints(store->reader(), 0, 10)->size() == 2);
  CHECK(events::list_checkpoints(store->reader(), 3, 10)->size() == 1);
  CHECK(events::list(store->reader(), 3, 10)->size() == 2);
  CHECK(verdict() == "sound");
  script("DELETE FROM audit WHERE seq = 5");
  CHECK_MESSAGE(verdict().starts_with("audit_truncated"), verdict());
  must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return events::record(tx, entry(2)); }));
  CHECK(verdict() == "sound");  // the very same entry
  script("DELETE FROM audit WHERE seq = 5");
  must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return events::record(tx, entry(7)); }));
  CHECK_MESSAGE(verdict().starts_with("audit_rewritten"), verdict());
}

TEST_CASE_FIXTURE(Log, "a list may be narrowed, and goes on from where it ended") {
  fill(4);
  auto other = entry(5);
  other.actor = "user:bob";
  other.action = "device.revoked";
  must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return events::record(tx, other); }));
  auto const count = [&](events::Filter const& filter, std::int64_t after = 0) { return events::list(store->reader(), after, 100, filter)->size(); };
  CHECK(count({}) == 5);
  CHECK(count({.actor = "token:ann"}) == 4);
  CHECK(count({.actor = "token:ann"}, 2) == 2);
  CHECK(count({.action = "device.revoked"}) == 1);
  CHECK(count({.subject = "device/cam-2"}) == 1);
  CHECK(count({.actor = "user:bob", .subject = "device/cam-2"}) == 0);
  CHECK(count({.since = from_unix_ms(1'004)}) == 2);
  CHECK(*events::count_unsigned(store->reader()) == 5);
  sign();
  CHECK(*events::count_unsigned(store->reader()) == 0);
  fill(2);
  CHECK(*events::count_unsigned(store->reader()) == 2);
}
