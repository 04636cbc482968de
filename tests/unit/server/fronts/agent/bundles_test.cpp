#include "tests/unit/server/fronts/agent/house.hpp"

#include "core/crypto/hash.hpp"
#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"
#include "core/wire/receipt.hpp"
#include "core/wire/release.hpp"
#include "server/delivery/bundles.hpp"
#include "server/fronts/agent/receipts.hpp"

#include <fmt/format.h>

using namespace fleet;
using namespace fleet::fronts::test;
using delivery::Bundle;

namespace {

/// A house whose one device was told reader 1.0.0 by a rollout that completed, and which exports reader 2.0.0.
struct Depot : House {
  std::string document, digest;
  int made = 0;

  Depot() {
    wire::Release release{"reader", "2.0.0", 2, {{{"cam-a"}, {{"model.bin", 1, crypto::sha256("x"), false}}}}, {}};
    document = wire::encode(release);
    digest = crypto::sha256(document).hex();
    write(fmt::format("INSERT INTO releases (n, model, version, digest, document, request, state, created_by, created_at) VALUES "
                      "(1, 'reader', '2.0.0', x'{}', '{}', x'00', 'approved', 'token:ci', 0);"
                      "INSERT INTO rollouts (n, id, model, release, version, selector, policy, salt, state, created_by, created_at, completed_at) VALUES "
                      "(1, 'rol_1', 'reader', 1, '2.0.0', '', '{{}}', 's', 'completed', 'token:ops', 0, 1)",
                      digest, document));
    engine.say("reader", "1.0.0");
  }

  Result<std::optional<delivery::LeftOut>> order(Bundle const& bundle) {
    FLEET_TRY(auto const release, delivery::load_bundle_release(store->reader(), "reader", "2.0.0"));
    FLEET_TRY(auto const device, registry::load_device_facts(store->reader(), 1));
    return store->write_value<std::optional<delivery::LeftOut>>(store::Lane::verbs, [&](store::Tx& tx) -> Result<std::optional<delivery::LeftOut>> {
      FLEET_CHECK(delivery::add_bundle(tx, bundle, release, {clock.wall(), "token:ops"}));
      return delivery::add_order(tx, engine, bundle, release, device, clock.wall());
    });
  }
  Bundle bundle() {
    Bundle out;
    out.id = fmt::format("bundle-{}", ++made);
    out.model = "reader";
    out.version = "2.0.0";
    out.created_by = "token:ops";
    out.created_at = clock.wall();
    out.expires_at = clock.wall() + delivery::kBundleLifetime;
    return out;
  }
  /// Exports, and opens what the one device would read.
  wire::Directive exported() {
    auto const made_now = bundle();
    auto const left_out = order(made_now);
    REQUIRE_MESSAGE(left_out.has_value(), (left_out ? "" : left_out.error().detail));
    REQUIRE_FALSE(left_out->has_value());
    auto const orders = delivery::sign_orders(store->reader(), keys, made_now, 0, 10, clock.wall());
    REQUIRE(orders.has_value());
    REQUIRE(orders->items.size() == 1);
    CHECK(orders->items[0].device == "cam-1");
    auto const key = keys.get("directive-root");
    auto const payload = trust::open_envelope(as_bytes(orders->items[0].envelope), wire::kDirectivePayloadType, {{{key->key_id(), key->public_key()}}, 1}, wire::kDirectiveBytesMax);
    REQUIRE(payload.has_value());
    return wire::decode_directive(as_text(*payload)).value();
  }
  /// What the device runs by bundle, as its poll tells it.
  static wire::PollRequest with_bundle(int nonce, std::int64_t sequence, std::string const& digest, std::string const& id, std::string const& state = "committed") {
    auto out = request(nonce, sequence);
    out.models["reader"] = {digest, "2.0.0", state, id, 1, {}};
    return out;
  }
  wire::UpdateItem update(std::string const& state, std::string const& rollout) const {
    wire::UpdateItem out;
    out.model = "reader";
    out.version = out.running_version = "2.0.0";
    out.digest = out.running_digest = digest;
    out.rollout = rollout;
    out.attempt = 1;
    out.state = state;
    return out;
  }
};

}  // namespace

TEST_CASE("an order is above what the device was told, and what it is told next is above the order") {
  Depot depot;
  auto const first = depot.directive_of(*depot.send_through_write(House::request(1)));
  CHECK(first.sequence == 1);
  auto const order = depot.exported();
  CHECK(order.sequence == 2);
  CHECK(order.nonce.empty());
  CHECK(order.expires == order.act_before);
  REQUIRE(order.targets.size() == 1);
  CHECK(order.targets[0].hashes.at("sha256") == depot.digest);
  CHECK(order.targets[0].rollout == "bundle-1");
  SUBCASE("a device that is told nothing new can still take it") {
    CHECK(depot.send(House::request(2, 1))->poll().directive.empty());
  }
  SUBCASE("another export is above this one") { CHECK(depot.exported().sequence == 3); }
  SUBCASE("anything new ends it") {
    depot.engine.say("reader", "3.0.0");
    depot.clock.advance(std::chrono::hours{2});
    depot.store->epochs().raise_policy();
    CHECK(depot.directive_of(*depot.send_through_write(House::request(2, 1))).sequence == 3);
  }
}

TEST_CASE("who says that it accepted the order keeps what it brought, until something newer is said") {
  Depot depot;
  depot.send_through_write(House::request(1));
  auto const order = depot.exported();
  auto const told = depot.directive_of(*depot.send_through_write(Depot::with_bundle(2, order.sequence, depot.digest, "bundle-1", "downloading")));
  CHECK(told.sequence == order.sequence + 1);
  REQUIRE(told.targets.size() == 1);
  CHECK(told.targets[0] == order.targets[0]);
  CHECK(depot.read("SELECT bundle FROM bundle_holds WHERE device = 1") == "bundle-1");
  CHECK(delivery::load_bundle(depot.store->reader(), "bundle-1")->taken == 1);

  std::string stands = "bundle-1";
  SUBCASE("a rollout that completed later") {
    depot.write(fmt::format("UPDATE rollouts SET completed_at = {}", to_unix_ms(depot.clock.wall()) + 1));
    stands = "rol_1";
  }
  SUBCASE("one that lives") {
    depot.write("UPDATE rollouts SET state = 'running', completed_at = NULL");
    stands = "rol_1";
  }
  SUBCASE("a recall") {
    depot.write("UPDATE releases SET state = 'revoked'");
    stands = "rol_1";
  }
  SUBCASE("what completed before says nothing") {}
  auto const plan = delivery::plan_device(depot.store->reader(), depot.engine, 1, depot.clock.wall());
  REQUIRE(plan.has_value());
  REQUIRE(plan->decision.models.size() == 1);
  CHECK(plan->decision.models[0].target.rollout == stands);
}

TEST_CASE("what reports tell of a bundle counts as its poll does; a failure ends the hold") {
  Depot depot;
  depot.exported();
  auto const report = [&](std::string const& state) {
    auto const job = [&](store::Tx& tx) { return delivery::heed_report(tx, 1, depot.update(state, "bundle-1")); };
    REQUIRE(depot.store->write_wait(store::Lane::devices, job).has_value());
  };
  report("downloading");
  CHECK(depot.read("SELECT bundle FROM bundle_holds") == "bundle-1");
  SUBCASE("a newer bundle is not overtaken by late words of an older one") {
    auto const newer = depot.exported();
    auto const take = [&](store::Tx& tx) { return delivery::take_order(tx, 1, newer.sequence); };
    REQUIRE(depot.store->write_wait(store::Lane::devices, take).has_value());
    CHECK(depot.read("SELECT bundle FROM bundle_holds") == "bundle-2");
    report("committed");
    CHECK(depot.read("SELECT bundle FROM bundle_holds") == "bundle-2");
    report("failed");
    CHECK(depot.read("SELECT bundle FROM bundle_holds") == "bundle-2");
  }
  SUBCASE("failed") {
    report("failed");
    CHECK(depot.read("SELECT count(*) || '' FROM bundle_holds") == "0");
  }
}

TEST_CASE("whom a live rollout covers is left out, unless it was told this very release") {
  Depot depot;
  depot.engine.decision.models[0].holder = "rol_9";
  auto const left_out = depot.order(depot.bundle());
  REQUIRE(left_out.has_value());
  REQUIRE(left_out->has_value());
  CHECK((*left_out)->code == "covered");
  CHECK(depot.read("SELECT reserved_sequence || '' FROM devices") == "0");
  depot.engine.decision.models[0].target.hashes = {{"sha256", depot.digest}};
  depot.engine.decision.models[0].joins = true;
  auto const order = depot.exported();
  CHECK(order.targets[0].rollout == "rol_1");
  CHECK(depot.engine.dispatches == 1);
}

TEST_CASE("an expired bundle is signed no more; a release that is not approved makes none") {
  Depot depot;
  auto const made = depot.bundle();
  REQUIRE(depot.order(made).has_value());
  CHECK(delivery::sign_orders(depot.store->reader(), depot.keys, made, 0, 10, made.expires_at).error().code == "bundle_expired");
  CHECK(delivery::load_bundle_release(depot.store->reader(), "reader", "9").error().kind == Kind::not_found);
  depot.write("UPDATE releases SET state = 'draft'");
  CHECK(delivery::load_bundle_release(depot.store->reader(), "reader", "2.0.0").error().code == "not_approved");
  depot.write("UPDATE releases SET state = 'revoked'");
  CHECK(delivery::load_bundle_release(depot.store->reader(), "reader", "2.0.0").error().code == "revoked");
}

TEST_CASE("a receipt counts once, is believed by its key alone, and is no contact") {
  Depot depot;
  auto const key = crypto::PrivateKey::load(crypto::make_private_key().value()).value();
  auto const pem = crypto::public_pem(key).value();
  auto const known = crypto::sha256(crypto::key_bytes(crypto::public_key_from_pem(pem).value()).value());
  depot.write(fmt::format("UPDATE devices SET key_sha256 = x'{}'", known.hex()));
  auto const order = depot.exported();
  wire::Receipt receipt{"cam-1", order.sequence, depot.clock.wall(), {}};
  wire::ReportItem item;
  item.sequence = 1;
  item.update = depot.update("committed", "bundle-1");
  receipt.report.items[wire::Tier::critical] = {item};
  auto const signed_by = [&](crypto::PrivateKey const& signer, wire::Receipt const& what) {
    auto const payload = wire::encode(what);
    auto const envelope = trust::make_envelope_by(wire::kReceiptPayloadType, as_bytes(payload), "k", [&](BytesView message) { return crypto::sign(signer, message); });
    return wire::SignedReceipt{"cam-1", crypto::public_pem(signer).value(), envelope.value()};
  };
  auto const good = signed_by(key, receipt);
  for (int i = 0; i < 2; ++i) {
    auto opened = fronts::open_receipt(depot.store->reader(), good);
    REQUIRE(opened.has_value());
    auto const taken = fronts::accept_receipt(*depot.store, depot.engine, std::move(*opened), {depot.clock.wall(), "token:ops"});
    REQUIRE(taken.has_value());
    CHECK(taken->items == 1);
    CHECK(taken->fresh == (i == 0 ? 1 : 0));
  }
  CHECK(depot.engine.updates.size() == 1);
  CHECK(depot.read("SELECT running FROM device_models WHERE device = 1") == "2.0.0");
  CHECK(depot.read("SELECT bundle FROM bundle_holds") == "bundle-1");
  CHECK(depot.read("SELECT count(*) || '' FROM contacts") == "0");

  auto const stranger = crypto::PrivateKey::load(crypto::make_private_key().value()).value();
  CHECK(fronts::open_receipt(depot.store->reader(), signed_by(stranger, receipt)).error().code == "unknown_key");
  auto forged = good;
  forged.envelope = signed_by(stranger, receipt).envelope;
  CHECK(fronts::open_receipt(depot.store->reader(), forged).error().kind == Kind::signature);
  auto renamed = receipt;
  renamed.device = "cam-2";
  CHECK(fronts::open_receipt(depot.store->reader(), signed_by(key, renamed)).error().code == "foreign_receipt");
  depot.write("UPDATE devices SET state = 'revoked'");
  CHECK(fronts::open_receipt(depot.store->reader(), good).error().code == "device_revoked");
}
