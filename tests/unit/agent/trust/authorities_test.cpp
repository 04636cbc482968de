#include "agent/trust/authorities.hpp"

#include "core/trust/dsse.hpp"
#include "tests/unit/agent/fake_server.hpp"

namespace fleet::agent {
namespace {

struct Bench {
  FakeServer server;
  FakeFleet fleet{server};
  CrashFs fs;
  FakeClock clock{FakeFleet::now()};
  Layout layout{"/agent"};
  TrustedClock trusted = TrustedClock::load(fs, clock, layout.floor());
  Authorities authorities{fs, layout, trusted};
  std::unique_ptr<Remote> remote = server.remote(trusted);
  std::string const successor = crypto::make_ca("successor", compiled_at(), compiled_at() + std::chrono::days{3650}).value().certificate;

  Bench() {
    fs.put("/agent/identity/ca.pem", server.authority().certificate);
    FolderStore store(fs, layout.directive_metadata());
    REQUIRE(trust::Updater::init(store, as_bytes(fleet.directive_root)).has_value());
  }
  void announce(std::int64_t version, std::string const& certificates, crypto::SigningKey const& key, std::string_view type = wire::kCaPayloadType) {
    auto const payload = wire::encode(wire::CaAnnouncement{version, certificates});
    server.put("/device/v1/ca", trust::make_envelope(type, as_bytes(payload), {&key, 1}));
  }
  [[nodiscard]] std::string kept() { return fs.text("/agent/identity/ca.pem").value(); }
};

TEST_CASE("an announcement that the directive root signed is followed and kept, once") {
  Bench bench;
  CHECK(bench.authorities.version() == 0);
  bench.announce(3, bench.successor, bench.fleet.directive_key);
  auto const followed = bench.authorities.follow(*bench.remote);
  REQUIRE_MESSAGE(followed.has_value(), followed.error().detail);
  CHECK(followed->value() == bench.successor);
  CHECK(bench.kept() == bench.successor);
  CHECK(bench.authorities.version() == 3);
  CHECK_FALSE(bench.authorities.follow(*bench.remote)->has_value());
}

TEST_CASE("what is not newer, of another signer, of another kind, or no certificate changes nothing") {
  Bench bench;
  bench.announce(3, bench.server.authority().certificate, bench.fleet.directive_key);
  REQUIRE(bench.authorities.follow(*bench.remote).has_value());
  auto const before = bench.kept();
  SUBCASE("older") {
    bench.announce(2, bench.successor, bench.fleet.directive_key);
    CHECK_FALSE(bench.authorities.follow(*bench.remote)->has_value());
  }
  SUBCASE("signed by the release key") {
    bench.announce(4, bench.successor, bench.fleet.release_key);
    CHECK(bench.authorities.follow(*bench.remote).error().kind == Kind::signature);
  }
  SUBCASE("an envelope of another payload type") {
    bench.announce(4, bench.successor, bench.fleet.directive_key, wire::kDirectivePayloadType);
    CHECK_FALSE(bench.authorities.follow(*bench.remote).has_value());
  }
  SUBCASE("no certificate") {
    bench.announce(4, "certainly", bench.fleet.directive_key);
    CHECK(bench.authorities.follow(*bench.remote).error().code == "bad_certificate");
  }
  CHECK(bench.kept() == before);
  CHECK(bench.authorities.version() == 3);
}

TEST_CASE("an announcement whose signer the directive root no longer names bounds nothing") {
  Bench bench;
  bench.announce(std::int64_t{1} << 52, bench.successor, bench.fleet.directive_key);
  REQUIRE(bench.authorities.follow(*bench.remote).has_value());
  auto const fresh = crypto::SigningKey::generate(bench.fleet.random);
  trust::RootSpec root{2, FakeFleet::now() + std::chrono::days{365}, {}, "directive"};
  for (auto const* const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{fresh.public_key()}, 1};
  std::array const signers{bench.fleet.directive_key, fresh};
  bench.server.put("/device/v1/directive/2.root.json", trust::compose_root(root, signers));
  bench.announce(5, bench.server.authority().certificate, fresh);
  auto const followed = bench.authorities.follow(*bench.remote);
  REQUIRE_MESSAGE(followed.has_value(), followed.error().detail);
  CHECK(followed->has_value());
  CHECK(bench.authorities.version() == 5);
}

TEST_CASE("a device that no longer knows its server's CA is reached by the announcement alone") {
  Bench bench;
  bench.announce(2, bench.server.authority().certificate, bench.fleet.directive_key);
  Identity stranger;
  stranger.ca = bench.successor;
  auto const proven = Remote::create(stranger, {bench.server.url()}, bench.trusted, system_clock()).value();
  CHECK(proven->get("/device/v1/ca", 1 << 20).error().code == "peer_not_trusted");
  auto const unproven = Remote::create_unproven({bench.server.url()}, system_clock()).value();
  auto const followed = bench.authorities.follow(*unproven);
  REQUIRE_MESSAGE(followed.has_value(), followed.error().detail);
  proven->trust(**followed);
  CHECK(proven->get("/device/v1/ca", 1 << 20).has_value());
}

}  // namespace
}  // namespace fleet::agent
