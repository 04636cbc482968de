#include "server/upkeep/retention.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

using namespace fleet;
using namespace fleet::test;

namespace {

struct Old : StoreFixture {
  Old() { sql({"test.device", "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (1, 'd', 'h', 'active', x'01', 0, 0)"}); }
  void fill(std::string const& statement, int count, SysTime at) {
    auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      for (int i = 0; i < count; ++i) {
        auto row = tx.prepare({"test.fill", statement});
        row.bind_all(to_unix_ms(at), std::to_string(to_unix_ms(at)) + "-" + std::to_string(i));
        FLEET_CHECK(row.run());
      }
      return {};
    });
    REQUIRE_MESSAGE(done, done.error().detail);
  }
  bool step() {
    auto const more = store->write_value<bool>(store::Lane::verbs, [&](store::Tx& tx) { return upkeep::forget_old(tx, clock.wall()); });
    REQUIRE_MESSAGE(more, more.error().detail);
    return *more;
  }
  std::string count(std::string const& table) { return text({"test.count", "SELECT count(*) FROM " + table}); }
};

}  // namespace

TEST_CASE_FIXTURE(Old, "what is past its time goes, what is not stays") {
  struct Case {
    std::string table, insert;
    std::chrono::hours kept;
  };
  using std::chrono::hours;
  std::vector<Case> const cases{
      {"idempotency", "INSERT INTO idempotency (actor, key, request, status, headers, body, created_at) VALUES ('a', ?2, x'00', 200, '[]', '', ?1)", hours{24}},
      {"events", "INSERT INTO events (time, type, subject, actor, data) VALUES (?1, 't', ?2, 'a', '{}')", hours{24 * 30}},
      {"device_history",
       "INSERT INTO device_history (device, time, received, model, version, state, attempt) VALUES (1, 0, ?1, 'm', ?2, 's', 0)", hours{24 * 90}},
      {"tokens",
       "INSERT INTO tokens (id, name, role, hash, created_by, created_at, expires_at, bound_role) VALUES (?2, ?2, 'viewer', CAST(?2 AS BLOB), 'x', 0, ?1, 'ci')",
       hours{24 * 7}},
      {"pending_enrolments",
       "INSERT INTO pending_enrolments (device_id, key_sha256, csr, hardware, labels, reported, token_id, created_at) VALUES ('d', CAST(?2 AS BLOB), '', 'h', '{}', "
       "'{}', 't', ?1)",
       hours{24 * 30}},
      {"device_tokens", "INSERT INTO device_tokens (id, hash, created_by, created_at, expires_at) VALUES (?2, CAST(?2 AS BLOB), 'x', 0, ?1)", hours{24 * 30}},
  };
  for (auto const& [table, insert, kept] : cases) {
    CAPTURE(table);
    fill(insert, 2, clock.wall() - kept);
    fill(insert, 3, clock.wall() - kept + Millis{1});
    CHECK_FALSE(step());
    CHECK(count(table) == "3");
  }
  sql({"test.token", "INSERT INTO tokens (id, name, role, hash, created_by, created_at, expires_at) VALUES ('t', 't', 'viewer', x'00', 'x', 0, 0)"});
  CHECK_FALSE(step());
  CHECK_MESSAGE(count("tokens") == "4", "tokens that people made are kept: the log names them");
}

TEST_CASE_FIXTURE(Old, "a step drops a bounded number of rows, and says that there are more") {
  fill("INSERT INTO events (time, type, subject, actor, data) VALUES (?1, 't', ?2, 'a', '{}')", 2'500, SysTime{});
  CHECK(step());
  CHECK(count("events") == "1500");
  CHECK(step());
  CHECK_FALSE(step());
  CHECK(count("events") == "0");
}
