#include "core/crypto/certificates.hpp"
#include "core/crypto/wrapped_key.hpp"
#include "core/crypto/x509.hpp"
#include "server/delivery/protected.hpp"
#include "server/signing/data_keys.hpp"
#include "tests/unit/server/fronts/agent/house.hpp"

using namespace fleet;
using namespace fleet::fronts::test;
using fleet::fronts::PollSettings;

namespace {

wire::ModelStatus running(std::string const& version, std::string const& state) {
  return {.digest = std::string(64, 'b'), .version = version, .state = state, .rollout = "rol_1", .attempt = 1, .waiting = ""};
}

}  // namespace

TEST_CASE("a device without anything to do is answered from memory") {
  House house;
  house.send_through_write(House::request(1));  // records agent and boot
  auto const seen = house.send(House::request(2));
  auto const answer = seen->poll();
  CHECK(answer.directive.empty());
  CHECK(answer.next_poll_s == 0);  // the owner's interval holds
  CHECK_FALSE(answer.renew);
  CHECK(answer.sources == std::vector<std::string>{"https://fleet.test:8444"});
  CHECK(std::holds_alternative<net::SharedBody>(seen->response->body));
  CHECK(house.read("SELECT directive_sequence FROM devices") == "0");
}

TEST_CASE("the sequence rises only when the targets change, and is committed before the directive is sent") {
  House house;
  house.engine.say("reader", "1.0.0");
  auto const first = house.directive_of(*house.send_through_write(House::request(1)));
  CHECK(first.sequence == 1);
  CHECK(first.nonce == House::nonce_of(1));
  CHECK(first.device == "cam-1");
  CHECK(first.expires - first.issued_at == std::chrono::hours{7 * 24});
  REQUIRE(first.targets.size() == 1);
  CHECK(first.targets[0].path == "models/reader/1.0.0/release.json");
  CHECK(house.read("SELECT directive_sequence FROM devices") == "1");
  CHECK(house.engine.dispatches == 1);

  CHECK(house.send(House::request(2, 1))->poll().directive.empty());
  CHECK(house.engine.dispatches == 1);

  house.engine.say("reader", "2.0.0");
  house.store->epochs().raise_policy();
  auto const second = house.directive_of(*house.send_through_write(House::request(3, 1)));
  CHECK(second.sequence == 2);
  CHECK(house.engine.dispatches == 2);
}

TEST_CASE("what a directive names is kept for its device, in the transaction of the directive") {
  House house;
  house.write("INSERT INTO releases (n, model, version, digest, document, request, state, created_by, created_at) VALUES (7, 'reader', '1.0.0', x'" +
              std::string(64, 'a') + "', '', x'00', 'approved', 'x', 0)");
  house.engine.say("reader", "1.0.0");
  house.send_through_write(House::request(1));
  CHECK(house.read("SELECT device || ' ' || release FROM named_releases") == "1 7");
  house.engine.decision.models.clear();
  house.store->epochs().raise_policy();
  house.send_through_write(House::request(2, 1));
  CHECK_MESSAGE(house.read("SELECT device || ' ' || release FROM named_releases") == "1 7", "what it was told once it may read again");
}

TEST_CASE("a protected release's key comes to its device alone, the same each time, and not once the release or the device is revoked") {
  House house;
  house.write("INSERT INTO releases (n, model, version, digest, document, request, state, created_by, created_at, protected) VALUES (7, 'reader', '1.0.0', x'" +
              std::string(64, 'a') + "', '', x'00', 'approved', 'x', 0, 'disk')");
  house.engine.say("reader", "1.0.0");
  int nonce = 0;
  auto const key_told = [&] {
    auto const directive = house.directive_of(*house.send_through_write(House::request(++nonce)));
    CHECK(directive.sequence == 1);
    return directive.targets.at(0).key;
  };
  CHECK_MESSAGE(key_told().empty(), "a device that gave no key to encrypt to gets none");
  auto const own = *crypto::PrivateKey::load(*crypto::make_private_key());
  house.write("UPDATE devices SET wrap_key = x'" + to_hex(*crypto::read_recipient(*crypto::public_pem(own))) + "'");
  auto const told = key_told();
  CHECK(told == key_told());
  auto const digest = *Digest::parse(std::string(64, 'a'));
  auto const key = crypto::unwrap(own, told, "cam-1", digest);
  REQUIRE(key.has_value());
  CHECK(to_hex(key->bytes()) == to_hex(signing::data_key(house.keys, digest)->bytes()));
  CHECK(house.read("SELECT directive_targets FROM devices").find(told) == std::string::npos);
  house.engine.decision.models[0].target.action = wire::Action::prove;
  wire::Directive proves;
  proves.device = "cam-1";
  proves.targets = {house.engine.decision.models[0].target};
  REQUIRE(delivery::put_data_keys(house.store->reader(), house.keys, proves).has_value());
  CHECK_MESSAGE(proves.targets[0].key.empty(), "what runs is proved without it");
  for (auto const* const revoked : {"UPDATE releases SET state = 'revoked'", "UPDATE releases SET state = 'approved'; UPDATE devices SET state = 'revoked'"}) {
    house.write(revoked);
    auto directive = proves;
    directive.targets[0].action = wire::Action::install;
    REQUIRE(delivery::put_data_keys(house.store->reader(), house.keys, directive).has_value());
    CHECK(directive.targets[0].key.empty());
  }
}

TEST_CASE("a directive whose answer was lost is sent again, signed for the new nonce") {
  House house;
  house.engine.say("reader", "1.0.0");
  house.send_through_write(House::request(1));
  auto again = House::request(2);
  again.prior = "";  // it never saw the answer
  auto const directive = house.directive_of(*house.send(again));
  CHECK(directive.sequence == 1);
  CHECK(directive.nonce == House::nonce_of(2));
  CHECK(house.engine.dispatches == 1);
}

TEST_CASE("another connection of the device finds what the first one committed") {
  House house;
  house.engine.say("reader", "1.0.0");
  house.send_through_write(House::request(1));
  house.connection.reset();
  CHECK(house.directive_of(*house.send(House::request(2))).sequence == 1);
  CHECK(house.engine.dispatches == 1);
}

TEST_CASE("a device that is ahead of the database is given a higher sequence") {
  House house;
  house.engine.say("reader", "1.0.0");
  CHECK(house.directive_of(*house.send_through_write(House::request(1, 41))).sequence == 42);
  auto const leapt = house.send_through_write(House::request(2, std::int64_t{1} << 50));
  CHECK(house.directive_of(*leapt).sequence == (std::int64_t{1} << 50) + 1);
  // What could never be raised again is not believed.
  auto const absurd = house.send_through_write(House::request(3, std::int64_t{1} << 53));
  CHECK(house.directive_of(*absurd).sequence == (std::int64_t{1} << 53) - (std::int64_t{1} << 40) + 1);
}

TEST_CASE("what a poll tells is recorded, and a model it no longer names is forgotten") {
  House house;
  auto poll = House::request(1);
  poll.models["reader"] = running("1.0.0", "probation");
  house.send_through_write(poll);
  CHECK(house.read("SELECT running || ' ' || state || ' ' || rollout FROM device_models WHERE model = 'reader'") == "1.0.0 probation rol_1");
  CHECK(house.read("SELECT hex(running_digest) FROM device_models") == std::string(32 * 2, 'B'));
  CHECK(house.read("SELECT agent || ' ' || boot_id FROM devices") == "0.1.0 boot-1");

  poll = House::request(2);
  poll.models["reader"] = running("1.0.0", "probation");
  CHECK(house.send(poll)->response.has_value());  // known: no write

  house.send_through_write(House::request(3));
  CHECK(house.read("SELECT count(*) FROM device_models") == "0");
}

TEST_CASE("a digest that is none costs one write, not one a poll") {
  House house;
  auto poll = House::request(1);
  poll.models["reader"] = running("1.0.0", "idle");
  poll.models["reader"].digest = "";
  house.send_through_write(poll);
  poll.nonce = House::nonce_of(2);
  CHECK(house.send(poll)->response.has_value());
}

TEST_CASE("a revoked, retired or deleted device is refused at its next poll") {
  struct Case {
    char const* sql;
    int status;
    char const* code;
  };
  for (auto const& [sql, status, code] :
       {Case{"UPDATE devices SET state = 'revoked'", 403, "device_revoked"}, Case{"UPDATE devices SET state = 'retired'", 403, "device_retired"},
        Case{"DELETE FROM devices", 401, "unknown_device"}}) {
    House house;
    house.send_through_write(House::request(1));
    house.write(sql);
    house.store->epochs().raise_device(1);
    auto const seen = house.send(House::request(2));
    REQUIRE(seen->response.has_value());
    CHECK(seen->response->status == status);
    CHECK(seen->body() == code);
  }
}

TEST_CASE("a body that is no poll is refused and changes nothing") {
  House house;
  auto const seen = std::make_shared<Seen>();
  house.polls->handle({.device_n = 1, .body = "{\"nonce\":1}", .request_id = "r", .slot = &house.connection}, net::Responder(seen));
  REQUIRE(seen->response.has_value());
  CHECK(seen->response->status == 400);
  CHECK(house.store->last_contact(1) == SysTime{});
}

TEST_CASE("renew is said once two thirds of the certificate have passed") {
  House house;
  house.send_through_write(House::request(1));
  house.clock.advance(std::chrono::hours{24 * 243});
  CHECK_FALSE(house.send(House::request(2))->poll().renew);
  house.clock.advance(std::chrono::hours{24});
  CHECK(house.send(House::request(3))->poll().renew);
}

TEST_CASE("two machines that poll as one device raise one event an hour") {
  House house;
  house.send_through_write(House::request(1));
  house.send(House::request(2));
  auto cloned = House::request(900);
  cloned.prior = House::nonce_of(899);
  house.send(cloned);
  cloned.nonce = House::nonce_of(901);
  cloned.prior = House::nonce_of(700);
  house.send(cloned);
  house.write("SELECT 1");  // queued behind the event
  CHECK(house.read("SELECT count(*) FROM events WHERE type = 'device.clone_suspected' AND subject = 'device/cam-1'") == "1");
}

TEST_CASE("a restart, a power cut, a full disk accuse nobody; boots that alternate do") {
  House house;
  auto const accusations = [&] {
    house.write("SELECT 1");  // queued behind the event
    return house.read("SELECT count(*) FROM events WHERE type = 'device.clone_suspected'");
  };
  house.send_through_write(House::request(1));
  house.send(House::request(2));
  auto restarted = House::request(10);
  restarted.prior = "";
  house.send(restarted);
  house.send(House::request(11));
  // What a device kept may be from before a power cut: believed once in a new boot, and no longer.
  auto rebooted = House::request(500);
  rebooted.boot_id = "boot-2";
  house.send_through_write(rebooted);
  auto next = House::request(501);
  next.boot_id = "boot-2";
  house.send(next);
  CHECK(accusations() == "0");
  SUBCASE("another nonce in the same boot") {
    next.nonce = House::nonce_of(503);
    next.prior = House::nonce_of(400);
    house.send(next);
  }
  SUBCASE("a machine of an earlier boot") {
    auto clone = House::request(12);
    clone.prior = "";
    house.send_through_write(clone);
  }
  CHECK(accusations() == "1");
}

TEST_CASE("models that nobody made are not recorded, and cost no write") {
  House house;
  auto poll = House::request(1);
  poll.models["reader"].version = "1.0.0";
  for (int i = 0; i < 60; ++i) poll.models["invented-" + std::to_string(i)].version = "1.0.0";
  house.send_through_write(poll);
  CHECK(house.read("SELECT count(*) || ' ' || min(model) FROM device_models") == "1 reader");
  poll.nonce = House::nonce_of(2);
  poll.prior = House::nonce_of(1);
  CHECK(house.send(poll)->response.has_value());
  poll.nonce = House::nonce_of(3);
  poll.prior = House::nonce_of(2);
  house.connection.reset();  // a connection that remembers nothing
  CHECK(house.send(poll)->response.has_value());
}

TEST_CASE("a long poll is parked, and answered when its device may be told something else") {
  House house;
  house.send_through_write(House::request(1));
  auto const seen = house.send(House::request(2, 0, 55));
  CHECK_FALSE(seen->response.has_value());
  CHECK(house.polls->parking().count() == 1);
  house.net.run_timed();
  CHECK_FALSE(seen->response.has_value());

  house.engine.say("reader", "1.0.0");
  SUBCASE("by its own epoch") { house.store->epochs().raise_device(1); }
  SUBCASE("by the policy's") { house.store->epochs().raise_policy(); }
  house.net.run_timed();
  house.net.run_posted();  // the commit
  CHECK(house.directive_of(*seen).nonce == House::nonce_of(2));
  CHECK(house.polls->parking().count() == 0);
}

TEST_CASE("a parked poll stays where nothing changed for it, and is answered when its time has passed") {
  House house;
  house.send_through_write(House::request(1));
  auto const seen = house.send(House::request(2, 0, 55));
  house.store->epochs().raise_policy();
  house.net.run_timed();
  CHECK_FALSE(seen->response.has_value());
  CHECK(house.polls->parking().count() == 1);
  house.clock.advance(seconds{55});
  house.net.run_timed();
  CHECK(seen->poll().directive.empty());
  CHECK(seen->poll().next_poll_s == 1);
  CHECK_FALSE(house.net.has_timed());
}

TEST_CASE("a decision that a window ends is made anew when it ends") {
  House house;
  house.engine.decision.valid_until = house.clock.wall() + seconds{10};
  house.send_through_write(House::request(1));
  auto const seen = house.send(House::request(2, 0, 55));
  house.engine.say("reader", "1.0.0");
  house.clock.advance(seconds{9});
  house.net.run_timed();
  CHECK_FALSE(seen->response.has_value());
  house.clock.advance(seconds{1});
  house.net.run_timed();
  house.net.run_posted();
  CHECK(house.directive_of(*seen).sequence == 1);
}

TEST_CASE("past max_parked a long poll is answered at once with the interval") {
  House house(PollSettings{.interval_s = 30, .max_parked = 0});
  house.send_through_write(House::request(1));
  CHECK(house.send(House::request(2, 0, 55))->poll().next_poll_s == 30);
}

TEST_CASE("draining answers all that are parked, and parks no more") {
  House house;
  house.send_through_write(House::request(1));
  auto const parked = house.send(House::request(2, 0, 55));
  house.services.draining = true;
  house.polls->drain();
  house.net.run_posted();
  CHECK(parked->poll().next_poll_s == 1);
  CHECK(house.send(House::request(3, 0, 55))->response.has_value());
}

TEST_CASE("a peer that has gone is dropped from parking") {
  House house;
  house.send_through_write(House::request(1));
  auto const seen = house.send(House::request(2, 0, 55));
  seen->is_alive = false;
  house.net.run_timed();
  CHECK(house.polls->parking().count() == 0);
}
