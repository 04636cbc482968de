#include "agent/commands/enroll.hpp"

#include "agent/store/identity.hpp"
#include "core/crypto/certificates.hpp"
#include "core/wire/json.hpp"
#include "tests/unit/agent/fake_server.hpp"

#include <filesystem>

namespace fleet::agent {
namespace {

/// A device that wants to enrol, in a folder of its own (the lock on it is a real one), and what the server was asked.
struct Bench {
  FakeServer server;
  FakeFleet fleet{server};
  FakeClock clock{FakeFleet::now()};
  SeededRandom random{5};
  std::string const dir = [] {
    std::string made = (std::filesystem::temp_directory_path() / "fleet-enroll.XXXXXX").string();
    return std::string(::mkdtemp(made.data()));
  }();
  Layout layout{dir + "/root"};
  EnrollOptions options;
  std::vector<wire::EnrollRequest> asked;
  bool certificate_shown = false;
  std::string state = "active";

  Bench() {
    put("ca.pem", server.authority().certificate);
    put("token", "flj_secret\n");
    options.servers = {server.url()};
    options.ca_file = dir + "/ca.pem";
    options.token_file = dir + "/token";
    options.id = "cam-1";
    options.hardware = "cam-a";
    options.reported = {{"os", "debian"}};
    server.answer("/device/v1/enroll", [this](net::Request const& request) { return answer(request); });
  }
  ~Bench() { std::filesystem::remove_all(dir); }
  void put(std::string const& name, std::string const& text) const { REQUIRE(system_fs().replace(dir + "/" + name, text).has_value()); }
  net::Response answer(net::Request const& request) {
    asked.push_back(wire::decode_enroll_request(request.body).value());
    certificate_shown = request.peer->has_certificate;
    wire::EnrollResponse out{"cam-1", {}, server.authority().certificate, fleet.release_root, fleet.directive_root, state, "cam-b"};
    if (state == "active")
      out.certificate = crypto::issue_device_certificate(server.authority(), asked.back().csr, "cam-1", compiled_at(), compiled_at() + std::chrono::days{9}).value();
    return net::json_response(state == "active" ? 200 : 202, wire::encode(out));
  }
  [[nodiscard]] Result<std::string> run() { return enroll(system_fs(), clock, random, layout, options, system_clock()); }
  [[nodiscard]] Identity identity() const { return load_identity(system_fs(), layout).value(); }
};

TEST_CASE("an enrolment keeps the key before it asks, and the roots and the certificate after") {
  Bench bench;
  auto const done = bench.run();
  REQUIRE_MESSAGE(done.has_value(), done.error().detail);
  CHECK(*done == "active");
  REQUIRE(bench.asked.size() == 1);
  CHECK(bench.asked[0].token == "flj_secret");
  CHECK(bench.asked[0].reported == bench.options.reported);
  auto const identity = bench.identity();
  CHECK(identity.hardware == "cam-b");  // as the server has it
  CHECK(crypto::inspect_certificate(identity.certificate)->key_sha256 == crypto::public_key_digest(identity.private_key).value());
  CHECK(system_fs().read(bench.layout.directive_metadata() + "/root.json", 1 << 20).value() == bench.fleet.directive_root);
  CHECK(bench.run().error().code == "enrolled");
}

TEST_CASE("refused or cut off, it may be tried again with the same key") {
  Bench bench;
  bench.server.answer("/device/v1/enroll", [](net::Request const&) { return net::json_response(401, R"({"code":"unknown_join_token","detail":"no"})"); });
  CHECK(bench.run().error().code == "unknown_join_token");
  auto const key = bench.identity().private_key;
  CHECK(bench.identity().certificate.empty());
  bench.server.answer("/device/v1/enroll", [&](net::Request const& request) { return bench.answer(request); });
  REQUIRE(bench.run().has_value());
  CHECK(bench.identity().private_key == key);
}

TEST_CASE("a root file of the owner wins over the server's word") {
  Bench bench;
  bench.put("root.json", bench.fleet.directive_root);
  bench.options.tuf_root_file = bench.dir + "/root.json";
  REQUIRE(bench.run().has_value());
  CHECK(system_fs().read(bench.layout.release_metadata() + "/root.json", 1 << 20).value() == bench.fleet.directive_root);
}

TEST_CASE("a factory's certificate is shown in place of a token, and is not the device's own key") {
  Bench bench;
  auto const key = crypto::make_private_key().value();
  auto const request = crypto::make_request(key, "unit-7").value();
  bench.put("factory.crt", crypto::issue_device_certificate(bench.server.authority(), request, "unit-7", compiled_at(), compiled_at() + std::chrono::days{9}).value());
  bench.put("factory.key", key);
  bench.options.token_file.clear();
  bench.options.factory_certificate_file = bench.dir + "/factory.crt";
  bench.options.factory_key = bench.dir + "/factory.key";
  REQUIRE(bench.run().has_value());
  CHECK(bench.certificate_shown);
  CHECK(bench.asked[0].token.empty());
  CHECK(bench.identity().private_key != key);
}

TEST_CASE("waiting asks ever more slowly, says once what it waits for, and ends with the approval or its time") {
  Bench bench;
  bench.state = "pending";
  std::vector<Millis> pauses;
  std::vector<std::string> said;
  Waiting waiting{std::chrono::minutes{2}, {}, [&](std::string const& text) { said.push_back(text); }};
  SUBCASE("approved") {
    waiting.pause = [&](Millis time) {
      pauses.push_back(time);
      bench.clock.advance(time);
      if (pauses.size() == 3) bench.state = "active";
    };
    auto const done = enroll_and_wait(system_fs(), bench.clock, bench.random, bench.layout, bench.options, waiting, system_clock());
    REQUIRE_MESSAGE(done.has_value(), done.error().detail);
    CHECK(pauses == std::vector<Millis>{Millis{1000}, Millis{2000}, Millis{4000}});
    CHECK(bench.asked.size() == 4);
    CHECK(crypto::inspect_request(bench.asked[0].csr)->key_sha256 == crypto::inspect_request(bench.asked[3].csr)->key_sha256);
  }
  SUBCASE("never approved") {
    waiting.pause = [&](Millis time) {
      pauses.push_back(time);
      bench.clock.advance(time);
    };
    auto const done = enroll_and_wait(system_fs(), bench.clock, bench.random, bench.layout, bench.options, waiting, system_clock());
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code == "enrolment_pending");
    CHECK(exit_code(done.error().kind) == 7);
    CHECK(*std::max_element(pauses.begin(), pauses.end()) == std::chrono::seconds{30});
  }
  SUBCASE("the network fails meanwhile") {
    waiting.pause = [&](Millis time) {
      pauses.push_back(time);
      bench.clock.advance(time);
      if (pauses.size() == 1) bench.server.answer("/device/v1/enroll", [](net::Request const&) { return net::json_response(503, R"({"code":"busy","detail":"x"})"); });
      if (pauses.size() == 2) bench.server.answer("/device/v1/enroll", [&](net::Request const& request) { bench.state = "active"; return bench.answer(request); });
    };
    CHECK(enroll_and_wait(system_fs(), bench.clock, bench.random, bench.layout, bench.options, waiting, system_clock()).has_value());
  }
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("fleetctl device approve cam-1 --key " + crypto::public_key_digest(bench.identity().private_key).value().hex()) != std::string::npos);
}

}  // namespace
}  // namespace fleet::agent
