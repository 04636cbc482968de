#include "server/registry/enrol.hpp"

#include "core/crypto/hash.hpp"
#include "server/registry/join_tokens.hpp"
#include "server/registry/lifecycle.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <doctest/doctest.h>

namespace fleet::registry {
namespace {

constexpr auto kDay = std::chrono::hours(24);

/// A device's key and the request it makes with it.
struct Board {
  std::string key = *crypto::make_private_key();
  std::string csr = *crypto::make_request(key, "whoever");
  Digest sha = crypto::inspect_request(csr)->key_sha256;
};

struct Fixture : test::StoreFixture {
  events::Deed deed() { return {clock.wall(), "token:op", "because", "req"}; }
  std::string token(JoinTokenSpec const& spec = {}, Limits const& limits = kUnlimited) {
    auto made = store->write_value<std::vector<JoinTokenSecret>>(store::Lane::verbs, [&](store::Tx& tx) { return add_join_tokens(tx, services.random, spec, limits, deed()); });
    REQUIRE(made);
    return made->front().secret;
  }
  Result<wire::EnrollResponse> enrol_with(std::string const& secret, Board const& board, std::string const& id = "cam-1",
                                          std::string const& hardware = "cam-a") {
    return enrol(services, {secret, board.csr, id, hardware, {{"os", "debian"}}}, nullptr, events::Deed{clock.wall(), {}, {}, "req"});
  }
  Device device(std::string const& id = "cam-1") {
    auto loaded = load_device(store->reader(), id);
    REQUIRE_MESSAGE(loaded, loaded.error().detail);
    return *loaded;
  }
  Result<Device> approve(std::string const& id, std::string const& key = "", std::string const& replaces = "") {
    return store->write_value<Device>(store::Lane::verbs, [&](store::Tx& tx) { return approve_enrolment(tx, id, key, replaces, deed()); });
  }
  Result<Device> move(std::string const& id, std::string_view state) {
    return store->write_value<Device>(store::Lane::verbs, [&](store::Tx& tx) { return set_state(tx, *load_device(tx.connection(), id), state, deed()); });
  }
};

TEST_CASE_FIXTURE(Fixture, "a join token lets one device in, with a certificate of a year and the newest roots") {
  Board const board;
  auto const answer = enrol_with(token(), board);
  REQUIRE_MESSAGE(answer, answer.error().detail);
  CHECK(answer->state == "active");
  CHECK(answer->id == "cam-1");
  CHECK(answer->tuf_root == "tuf-root");
  CHECK(answer->directive_root == "directive-root");
  CHECK(answer->ca == services.ca.certificate);
  auto const certificate = *crypto::inspect_certificate(answer->certificate);
  CHECK(certificate.common_name == "cam-1");
  CHECK(certificate.key_sha256 == board.sha);
  CHECK(certificate.not_after == clock.wall() + 365 * kDay);
  auto const made = device();
  CHECK(made.key == board.sha);
  CHECK(made.hardware == "cam-a");
  CHECK(made.reported == wire::Labels{{"os", "debian"}});
  CHECK(made.labels.empty());
  CHECK(text({"test.audit", "SELECT action FROM audit WHERE subject = 'device/cam-1'"}) == "device.enrolled");
}

TEST_CASE_FIXTURE(Fixture, "what a token binds wins over what the device says") {
  JoinTokenSpec spec;
  spec.device_id = "bound";
  spec.hardware = "cam-b";
  spec.labels = {{"region", "eu"}};
  auto const answer = enrol_with(token(spec), Board{}, "claimed", "claimed-hw");
  REQUIRE(answer);
  CHECK(answer->id == "bound");
  CHECK(device("bound").hardware == "cam-b");
  CHECK(device("bound").labels == wire::Labels{{"region", "eu"}});
  CHECK_FALSE(load_device(store->reader(), "claimed"));
}

TEST_CASE_FIXTURE(Fixture, "a device that names no id gets one") {
  auto const answer = enrol_with(token(), Board{}, "");
  REQUIRE(answer);
  CHECK(answer->id.starts_with("dev-"));
}

TEST_CASE_FIXTURE(Fixture, "a token that is unknown, expired, revoked or used by another lets nobody in") {
  auto const code = [&](std::string const& secret) {
    auto const answer = enrol_with(secret, Board{}, "other");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::unauthenticated);
    CHECK_FALSE(load_device(store->reader(), "other"));
    return answer.error().code;
  };
  CHECK(code("fle_nonsense") == "unknown_join_token");
  auto const old = token();
  auto const revoked = token();
  auto const used = token();
  sql({"test.revoke", "UPDATE device_tokens SET revoked_at = 1 WHERE hash = ?1"}, crypto::sha256(revoked));
  REQUIRE(enrol_with(used, Board{}));
  CHECK(code(used) == "join_token_used");
  CHECK(code(revoked) == "join_token_revoked");
  clock.advance(kDay);
  CHECK(code(old) == "join_token_expired");
}

TEST_CASE_FIXTURE(Fixture, "a lost answer is asked for again with the same token and key, also after the token expired") {
  Board const board;
  auto const secret = token();
  REQUIRE(enrol_with(secret, board));
  clock.advance(2 * kDay);
  auto const again = enrol_with(secret, board);
  REQUIRE_MESSAGE(again, again.error().detail);
  CHECK(again->state == "active");
  CHECK(again->id == "cam-1");
  CHECK(crypto::inspect_certificate(again->certificate)->not_after == clock.wall() + 365 * kDay);
  CHECK(device().not_after == clock.wall() + 365 * kDay);
}

TEST_CASE_FIXTURE(Fixture, "the same key with a fresh token stays the same device and takes the token's labels") {
  Board const board;
  REQUIRE(enrol_with(token(), board));
  JoinTokenSpec spec;
  spec.labels = {{"region", "eu"}};
  auto const n = device().n;
  auto const epoch = store->epochs().device(n);
  auto const again = enrol_with(token(spec), board);
  REQUIRE(again);
  CHECK(again->state == "active");
  CHECK(device().n == n);
  CHECK(device().labels == wire::Labels{{"region", "eu"}});
  CHECK(store->epochs().device(n) != epoch);
  auto const unnamed = enrol_with(token(), board, "");
  REQUIRE(unnamed);
  CHECK(unnamed->id == "cam-1");
}

TEST_CASE_FIXTURE(Fixture, "a token that was made within limits lets in nobody beyond them, whatever it binds") {
  auto const eu = *Limits::read(store->reader(), "", "region=eu,hardware!=cam-b");
  JoinTokenSpec spec;
  spec.labels = {{"region", "eu"}};
  Board const board, elsewhere;
  CHECK_MESSAGE(enrol_with(token(spec, eu), board, "cam-1", "cam-b").error().code == "out_of_scope", "it left the hardware open");
  CHECK(enrol_with(token(spec, eu), board));
  CHECK_MESSAGE(enrol_with(token(spec, eu), board), "it is there already");
  JoinTokenSpec us;
  us.labels = {{"region", "us"}};
  REQUIRE(enrol_with(token(us), elsewhere, "cam-2"));
  CHECK_MESSAGE(enrol_with(token(spec, eu), elsewhere, "cam-2").error().code == "out_of_scope", "enrolling again brings no device over");
  CHECK(enrol_with(token(spec, eu), Board{}, "cam-2").error().code == "out_of_scope");
  CHECK(device("cam-2").labels == wire::Labels{{"region", "us"}});
}

TEST_CASE_FIXTURE(Fixture, "a cache is enrolled as one, and stays one") {
  auto const spec = decode_join_token_spec(R"({"cache":true,"models":["reader"]})");
  REQUIRE(spec);
  Board const board;
  REQUIRE(enrol_with(token(*spec), board, "cache-1"));
  CHECK(device("cache-1").cache == R"(["reader"])");
  CHECK(device_json(*store, store->reader(), device("cache-1"), kUnlimited, clock.wall())->find(R"("cache":{"models":["reader"]})") != std::string::npos);
  CHECK(enrol_with(token(), board, "cache-1").error().code == "other_kind");
  REQUIRE(enrol_with(token(), Board{}, "cam-1"));
  CHECK(enrol_with(token(*spec), Board{}, "cam-1").error().code == "other_kind");
  CHECK(decode_join_token_spec(R"({"models":["reader"]})").error().code == "bad_body");
  CHECK_FALSE(decode_join_token_spec(R"({"cache":true,"models":["Not A Name"]})"));
}

TEST_CASE_FIXTURE(Fixture, "a key belongs to one device") {
  Board const board;
  REQUIRE(enrol_with(token(), board));
  auto const other = enrol_with(token(), board, "cam-2");
  REQUIRE_FALSE(other);
  CHECK(other.error().code == "key_in_use");
}

TEST_CASE_FIXTURE(Fixture, "a second enrolment of a known id waits, and the first stays in place") {
  Board const first, second;
  REQUIRE(enrol_with(token(), first));
  auto const secret = token();
  auto const answer = enrol_with(secret, second);
  REQUIRE_MESSAGE(answer, answer.error().detail);
  CHECK(answer->state == "pending");
  CHECK(answer->certificate.empty());
  CHECK(device().key == first.sha);
  CHECK(enrol_with(secret, second)->state == "pending");
  auto const pending = list_pending(store->reader(), {kUnlimited}, "", 10);
  REQUIRE(pending);
  REQUIRE(pending->items.size() == 1);
  CHECK(pending->items[0].find(second.sha.hex()) != std::string::npos);

  sql({"test.reports", "INSERT INTO device_tiers (device, tier, acked) SELECT n, 'critical', 41 FROM devices"});
  sql({"test.running", "INSERT INTO device_models (device, model, running, since) SELECT n, 'reader', '1', 1 FROM devices"});
  auto const approved = approve("cam-1");
  REQUIRE_MESSAGE(approved, approved.error().detail);
  CHECK(approved->key == second.sha);
  CHECK_MESSAGE(text({"test.sequence", "SELECT count(*) FROM device_tiers"}) == "0", "another board counts its reports from the start");
  CHECK(load_running(store->reader(), approved->n)->versions.empty());
  CHECK_MESSAGE(approve("cam-1"), "repeating an approval is no error");

  clock.advance(3 * kDay);
  auto const fetched = enrol_with(secret, second);
  REQUIRE_MESSAGE(fetched, fetched.error().detail);
  CHECK(fetched->state == "active");
  CHECK(crypto::inspect_certificate(fetched->certificate)->key_sha256 == second.sha);
  CHECK_FALSE(*find_key(store->reader(), first.sha));
}

TEST_CASE_FIXTURE(Fixture, "of several pending enrolments one must be named") {
  Board const first, second, third;
  REQUIRE(enrol_with(token(), first));
  REQUIRE(enrol_with(token(), second));
  REQUIRE(enrol_with(token(), third));
  CHECK(approve("cam-1").error().code == "key_needed");
  CHECK(approve("cam-1", std::string(64, '0')).error().code == "nothing_pending");
  REQUIRE(approve("cam-1", third.sha.hex()));
  CHECK(device().key == third.sha);
  CHECK(list_pending(store->reader(), {kUnlimited}, "", 10)->items.size() == 1);
  CHECK(approve("nobody").error().kind == Kind::not_found);
}

TEST_CASE_FIXTURE(Fixture, "few keys wait for one device, asking again is no new one, and other devices are not held up") {
  REQUIRE(enrol_with(token(), Board{}));
  std::vector<Board> boards(5);
  for (int i = 0; i < 4; ++i) CHECK(enrol_with(token(), boards[static_cast<std::size_t>(i)])->state == "pending");
  CHECK(enrol_with(token(), boards[4]).error().code == "too_many_pending");
  CHECK(enrol_with(token(), boards[0])->state == "pending");
  CHECK(list_pending(store->reader(), {kUnlimited}, "", 10)->items.size() == 4);
  CHECK(text({"test.audit", "SELECT count(*) FROM audit WHERE action = 'device.enrolment_pending'"}) == "4");
  CHECK(enrol_with(token(), boards[4], "cam-2")->state == "active");
}

TEST_CASE_FIXTURE(Fixture, "an approval that replaces another device takes its labels and retires it") {
  JoinTokenSpec spec;
  spec.device_id = "old";
  spec.labels = {{"site", "7"}, {"line", "1"}};
  REQUIRE(enrol_with(token(spec), Board{}, ""));
  REQUIRE(enrol_with(token(), Board{}));
  JoinTokenSpec fresh;
  fresh.labels = {{"line", "2"}};
  REQUIRE(enrol_with(token(fresh), Board{}));
  auto const approved = approve("cam-1", "", "old");
  REQUIRE_MESSAGE(approved, approved.error().detail);
  CHECK(approved->labels == wire::Labels{{"site", "7"}, {"line", "2"}});
  CHECK(device("old").state == "retired");
}

TEST_CASE_FIXTURE(Fixture, "a revoked or retired device comes back by an approved key only") {
  Board const first, second;
  REQUIRE(enrol_with(token(), first));
  REQUIRE(move("cam-1", "retired"));
  CHECK(enrol_with(token(), first).error().code == "device_retired");
  REQUIRE(move("cam-1", "revoked"));
  CHECK(enrol_with(token(), first).error().code == "device_revoked");
  CHECK(move("cam-1", "retired").error().kind == Kind::conflict);
  CHECK(enrol_with(token(), second)->state == "pending");
  REQUIRE(approve("cam-1"));
  CHECK(device().state == "active");
}

TEST_CASE_FIXTURE(Fixture, "a request that is no request, or is signed by another key, is refused and uses no token") {
  auto const secret = token();
  Board bad;
  bad.csr = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
  CHECK_FALSE(enrol_with(secret, bad));
  CHECK_FALSE(enrol_with(secret, Board{}, "no spaces please"));
  CHECK_FALSE(enrol_with(secret, Board{}, "cam-1", ""));
  CHECK(enrol_with(secret, Board{}));
}

TEST_CASE_FIXTURE(Fixture, "a renewal gives a certificate for the same key") {
  Board const board;
  REQUIRE(enrol_with(token(), board));
  clock.advance(400 * kDay);
  auto const renewed = renew(services, board.sha, board.csr, deed());
  REQUIRE_MESSAGE(renewed, renewed.error().detail);
  CHECK(crypto::inspect_certificate(renewed->certificate)->not_after == clock.wall() + 365 * kDay);
  CHECK(device().not_after == clock.wall() + 365 * kDay);
  CHECK(renew(services, Board{}.sha, board.csr, deed()).error().code == "unknown_device");
  REQUIRE(move("cam-1", "revoked"));
  CHECK(renew(services, board.sha, board.csr, deed()).error().code == "device_revoked");
}

TEST_CASE_FIXTURE(Fixture, "a renewed key counts beside the old one until it was seen") {
  Board const board, next;
  REQUIRE(enrol_with(token(), board));
  REQUIRE(enrol_with(token(), Board{}, "cam-2"));
  REQUIRE(renew(services, board.sha, next.csr, deed()));
  CHECK(*find_key(store->reader(), board.sha));
  auto const seen = *find_key(store->reader(), next.sha);
  REQUIRE(seen);
  CHECK(seen->renewed);
  CHECK_MESSAGE(list_pending(store->reader(), {kUnlimited}, "", 10)->items.empty(), "a renewal is no enrolment that waits");
  adopt_renewed_key(*store, seen->n, next.sha, clock.wall());
  REQUIRE(store->write_wait(store::Lane::verbs, [](store::Tx&) -> Result<void> { return {}; }));
  CHECK_FALSE(*find_key(store->reader(), board.sha));
  CHECK_FALSE((*find_key(store->reader(), next.sha))->renewed);
  CHECK(renew(services, device("cam-2").key, next.csr, deed()).error().code == "key_in_use");
}

TEST_CASE_FIXTURE(Fixture, "a key that was asked for and never used does not outlive the device's approval anew") {
  Board const first, waiting, second;
  REQUIRE(enrol_with(token(), first));
  REQUIRE(renew(services, first.sha, waiting.csr, deed()));
  REQUIRE(move("cam-1", "revoked"));
  CHECK(enrol_with(token(), second)->state == "pending");
  REQUIRE(approve("cam-1"));
  CHECK((*find_key(store->reader(), second.sha))->state == "active");
  CHECK_FALSE(*find_key(store->reader(), waiting.sha));
  CHECK(renew(services, waiting.sha, Board{}.csr, deed()).error().code == "unknown_device");
}

TEST_CASE_FIXTURE(Fixture, "one renewal waits at a time, and the same one may be asked for again") {
  Board const board, one, two;
  REQUIRE(enrol_with(token(), board));
  REQUIRE(renew(services, board.sha, one.csr, deed()));
  REQUIRE(renew(services, board.sha, one.csr, deed()));
  CHECK(*find_key(store->reader(), one.sha));
  REQUIRE(renew(services, board.sha, two.csr, deed()));
  CHECK_FALSE(*find_key(store->reader(), one.sha));
  REQUIRE(renew(services, two.sha, two.csr, deed()));  // by the key that waits
  CHECK((*find_key(store->reader(), two.sha))->renewed);
}

TEST_CASE_FIXTURE(Fixture, "only renewals that are due grow the audit log; other keys before that are few") {
  Board const board, next;
  REQUIRE(enrol_with(token(), board));
  auto const entries = [&] {
    auto row = store->reader().prepare(db::Query{"entries", "SELECT count(*) FROM audit"});
    REQUIRE(*row.step());
    return row.int64(0);
  };
  auto const before = entries();
  auto const first_until = device().not_after;
  for (int i = 0; i < 200; ++i) {
    auto const again = renew(services, board.sha, board.csr, deed());
    REQUIRE(again);
    CHECK(crypto::inspect_certificate(again->certificate)->not_after == first_until);
  }
  CHECK(entries() == before);
  for (int i = 0; i < 50; ++i) REQUIRE(renew(services, board.sha, next.csr, deed()));
  CHECK(entries() == before + 1);
  int taken = 1;
  for (int i = 0; i < 20; ++i) {
    auto const renewed = renew(services, board.sha, Board{}.csr, deed());
    if (renewed) ++taken;
    else CHECK(renewed.error().code == "too_many_renewals");
  }
  CHECK(taken == 10);
  CHECK(entries() == before + 10);
  clock.advance(300 * kDay);
  REQUIRE(renew(services, board.sha, Board{}.csr, deed()));
  CHECK(entries() == before + 11);
}

}  // namespace
}  // namespace fleet::registry
