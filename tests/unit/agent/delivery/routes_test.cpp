#include "agent/delivery/routes.hpp"
#include "tests/unit/agent/fake_server.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

/// A device that asks for the routes of a release.
struct Asking {
  FakeServer server;
  FakeFleet fleet{server};
  CrashFs fs;
  FakeClock clock{FakeFleet::now()};
  TrustedClock trusted = TrustedClock::load(fs, clock, "/state/floor");
  Digest const release = crypto::sha256("release");
  std::string const at = "/device/v1/routes/" + release.hex();

  Asking() { fs.put("/state/directive-tuf/root.json", fleet.directive_root); }
  void serve(wire::ReleaseRoutes const& routes, crypto::SigningKey const& key, std::string_view type = wire::kRoutesPayloadType) {
    auto const payload = wire::encode(routes);
    server.put(at, trust::make_envelope(type, as_bytes(payload), {&key, 1}));
  }
  Result<std::optional<wire::ReleaseRoutes>> ask(SysTime now = FakeFleet::now()) {
    return fetch_routes(fs, *server.remote(trusted), now, "/state/directive-tuf", release, "cam-a");
  }
};

}  // namespace

TEST_CASE("routes count when whoever signs directives signed them, for this release and hardware") {
  Asking asking;
  wire::ReleaseRoutes const routes{asking.release, "cam-a", {{crypto::sha256("f"), 5, {{"compressed", {}, crypto::sha256("c"), 1, 2, 3}}}}};
  asking.serve(routes, asking.fleet.directive_key);
  auto const told = asking.ask();
  REQUIRE(told.has_value());
  CHECK(told->value() == routes);

  asking.serve(routes, asking.fleet.release_key);
  CHECK(asking.ask().error().kind == Kind::signature);
  asking.serve(routes, asking.fleet.directive_key, wire::kDirectivePayloadType);
  CHECK(asking.ask().has_error());
  asking.serve({crypto::sha256("other"), "cam-a", {}}, asking.fleet.directive_key);
  CHECK(asking.ask().error().code == "foreign_routes");
  asking.serve({asking.release, "cam-b", {}}, asking.fleet.directive_key);
  CHECK(asking.ask().error().code == "foreign_routes");
  asking.serve(routes, asking.fleet.directive_key);
  CHECK(asking.ask(FakeFleet::now() + std::chrono::days{800}).error().kind == Kind::expired);
}

TEST_CASE("a server of before routes has none; one that is busy is asked again") {
  Asking asking;
  auto const none = asking.ask();
  REQUIRE(none.has_value());
  CHECK_FALSE(none->has_value());
  asking.server.answer(asking.at, [](net::Request const&) { return net::json_response(503, R"({"code":"busy","detail":"x"})"); });
  CHECK(asking.ask().error().kind == Kind::unavailable);
}
