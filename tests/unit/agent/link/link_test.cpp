#include "agent/link/link.hpp"

#include "core/crypto/certificates.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/json.hpp"
#include "tests/unit/agent/fake_server.hpp"
#include "tests/unit/agent/device.hpp"

#include <condition_variable>
#include <thread>

namespace fleet::agent {
namespace {

/// A device with a key of its own and a server that answers its polls as the test says; the loops run on threads of their own.
struct Bench {
  FakeServer server;
  FakeFleet fleet{server};
  Device device;
  std::unique_ptr<Remotes> remotes;
  std::shared_ptr<Remote> remote;
  std::mutex mutex;
  std::condition_variable came;
  std::vector<wire::PollRequest> polls;
  std::vector<Digest> keys;                   ///< what each poll proved to hold
  std::string const key = crypto::make_private_key().value();

  Bench() {
    auto& identity = device.context->identity;
    identity.private_key = key;
    identity.certificate = certify(crypto::make_request(key, "cam-1").value());
    identity.ca = server.authority().certificate;
    REQUIRE(save_identity(device.fs, device.layout, identity).has_value());
    FolderStore store(device.fs, device.layout.directive_metadata());
    REQUIRE(trust::Updater::init(store, as_bytes(fleet.directive_root)).has_value());
    speak_to({server.url()});
  }
  void speak_to(std::vector<std::string> servers) {
    remotes = std::make_unique<Remotes>(device.context->identity, std::move(servers), device.context->trusted, system_clock());
    remote = remotes->make().value();
  }
  ~Bench() { server.stop(); }
  [[nodiscard]] std::string certify(std::string const& csr) const {
    return crypto::issue_device_certificate(server.authority(), csr, "cam-1", compiled_at() - std::chrono::days{1}, compiled_at() + std::chrono::days{300}).value();
  }
  /// @param answer  gets the number of the poll, from 1
  void answer_polls(std::function<net::Response(std::size_t, wire::PollRequest const&)> answer) {
    server.answer("/device/v1/poll", [this, answer = std::move(answer)](net::Request const& asked) {
      std::lock_guard const lock(mutex);
      polls.push_back(wire::decode_poll_request(asked.body).value());
      keys.push_back(asked.peer->key_sha256);
      came.notify_all();
      return answer(polls.size(), polls.back());
    });
  }
  void answer_renewals() {
    server.answer("/device/v1/renew", [this](net::Request const& asked) {
      auto const csr = std::string(wire::parse_json(asked.body, 1 << 16)->at("csr").as_string());
      wire::EnrollResponse response;
      response.id = "cam-1";
      response.state = "active";
      response.certificate = certify(csr);
      return net::json_response(200, wire::encode(response));
    });
  }
  /// Runs the loop until so many polls came.
  void run_until(std::size_t count) {
    Link link(*device.context, *remote, *device.runner, *remotes);
    std::thread looping([&] { link.loop(); });
    bool reached = false;
    {
      std::unique_lock lock(mutex);
      reached = came.wait_for(lock, std::chrono::seconds{20}, [&] { return polls.size() >= count; });
    }
    device.context->stop = true;
    link.hurry();
    looping.join();
    device.context->stop = false;
    last_error = link.last_error();
    last_contact = link.last_contact();
    REQUIRE(reached);
  }
  static net::Response idle(bool renew = false, std::int64_t ca_version = 0) {
    return net::json_response(200, wire::encode(wire::PollResponse{{}, 1, renew, ca_version, {"https://cache"}}));
  }
  static net::Response problem(int status, std::string const& code) {
    return net::json_response(status, R"({"code":")" + code + R"(","detail":"because"})");
  }
  [[nodiscard]] Digest sha(std::string const& private_key) const { return crypto::public_key_digest(private_key).value(); }
  std::string last_error;
  SysTime last_contact{};
};

TEST_CASE("each poll names the nonce of the last answered one, and begins anew after a start: nothing is written for it") {
  Bench bench;
  bench.answer_polls([](std::size_t n, auto const&) { return n == 2 ? Bench::problem(503, "busy") : Bench::idle(); });
  bench.run_until(3);
  REQUIRE(bench.polls.size() >= 3);
  CHECK(bench.polls[0].prior.empty());
  CHECK(bench.polls[1].prior == bench.polls[0].nonce);
  CHECK(bench.polls[2].prior == bench.polls[0].nonce);
  CHECK_FALSE(bench.device.fs.text("/agent/state/nonce").has_value());
  auto const steps = bench.device.fs.steps();
  bench.polls.clear();
  bench.run_until(2);
  CHECK(bench.polls[0].prior.empty());
  CHECK(bench.polls[1].prior == bench.polls[0].nonce);
  CHECK(bench.device.fs.steps() == steps);
}

TEST_CASE("a directive is verified and kept before the runner hears of it; a foreign one changes nothing") {
  Bench bench;
  wire::Directive directive;
  directive.device = "cam-1";
  directive.sequence = 4;
  directive.issued_at = FakeFleet::now();
  directive.expires = directive.act_before = FakeFleet::now() + std::chrono::days{7};
  auto key = bench.fleet.directive_key;
  SUBCASE("its own") {}
  SUBCASE("of another device") { directive.device = "cam-2"; }
  SUBCASE("of another signer") { key = bench.fleet.release_key; }
  bool const good = directive.device == "cam-1" && key.key_id() == bench.fleet.directive_key.key_id();
  bench.answer_polls([&](std::size_t, wire::PollRequest const& poll) {
    directive.nonce = poll.nonce;
    return net::json_response(200, wire::encode(wire::PollResponse{bench.fleet.envelope(directive, key), 1, false, 0, {}}));
  });
  bench.run_until(2);
  CHECK(bench.device.runner->told().sequence == (good ? 4 : 0));
  CHECK(bench.device.fs.text("/agent/state/directive.json").has_value() == good);
}

TEST_CASE("told to renew, it proves a new key at once and keeps the one before") {
  Bench bench;
  bench.answer_renewals();
  bench.answer_polls([](std::size_t n, auto const&) { return Bench::idle(n == 1); });
  bench.run_until(3);
  CHECK(bench.keys[0] == bench.sha(bench.key));
  CHECK(bench.keys[1] != bench.keys[0]);
  CHECK(bench.keys[2] == bench.keys[1]);
  CHECK(bench.polls[0].wait_s > 0);
  CHECK(bench.polls[1].wait_s == 0);  // shown at once, not at the end of a long poll
  CHECK(bench.sha(*bench.device.fs.text("/agent/identity/key.pem")) == bench.keys[1]);
  CHECK(bench.device.fs.text("/agent/identity/previous-key.pem") == bench.key);
}

TEST_CASE("an expired certificate is renewed with itself; a refused renewal leaves all as it was") {
  Bench bench;
  SUBCASE("renewed") { bench.answer_renewals(); }
  SUBCASE("for another device") {
    bench.server.answer("/device/v1/renew", [&](net::Request const&) {
      auto const other = crypto::make_request(bench.key, "cam-2").value();
      auto const certificate =
          crypto::issue_device_certificate(bench.server.authority(), other, "cam-2", compiled_at(), compiled_at() + std::chrono::days{9}).value();
      return net::json_response(200, wire::encode(wire::EnrollResponse{"cam-2", certificate, {}, {}, {}, "active", {}}));
    });
  }
  SUBCASE("revoked") { bench.server.answer("/device/v1/renew", [](net::Request const&) { return Bench::problem(403, "device_revoked"); }); }
  auto const before = bench.sha(bench.key);
  bench.answer_polls([&](std::size_t, auto const&) { return bench.keys.back() == before ? Bench::problem(403, "certificate_expired") : Bench::idle(); });
  bench.run_until(2);
  auto const asked = bench.server.asked();
  CHECK(std::count(asked.begin(), asked.end(), "/device/v1/renew") >= 1);
  bool const renewed = bench.keys[1] != before;
  CHECK((renewed || bench.device.fs.text("/agent/identity/key.pem") == bench.key));
  CHECK((renewed || bench.last_error == "because"));
}

TEST_CASE("a server that does not know the newest key is shown the one before") {
  Bench bench;
  Credentials kept(bench.device.fs, bench.device.layout);
  auto const newest = kept.renewal_key(bench.key).value();
  REQUIRE(kept.keep_renewed(bench.certify(crypto::make_request(newest, "cam-1").value())).has_value());
  bench.answer_polls([&](std::size_t, auto const&) { return bench.keys.back() == bench.sha(bench.key) ? Bench::idle() : Bench::problem(401, "unknown_device"); });
  bench.run_until(2);
  CHECK(bench.keys[0] == bench.sha(newest));
  CHECK(bench.keys[1] == bench.sha(bench.key));
  CHECK(bench.device.fs.text("/agent/identity/key.pem") == bench.key);
}

TEST_CASE("the owner's interval is the longest that a device waits, and what the server judges `online` by") {
  Bench bench;
  bench.device.context->config.long_poll = false;
  bench.device.context->config.poll_interval = Millis{20};
  bench.answer_polls([](std::size_t, auto const&) { return net::json_response(200, wire::encode(wire::PollResponse{{}, 0, false, 0, {}})); });
  bench.run_until(3);
  CHECK(bench.polls[0].wait_s == 0);
  CHECK(bench.polls[0].poll_every_s == 1);
}

TEST_CASE("a newer announcement of CAs is followed, and told from then on") {
  Bench bench;
  auto const payload = wire::encode(wire::CaAnnouncement{7, bench.server.authority().certificate});
  bench.server.put("/device/v1/ca", trust::make_envelope(wire::kCaPayloadType, as_bytes(payload), {&bench.fleet.directive_key, 1}));
  bench.answer_polls([](std::size_t, auto const&) { return Bench::idle(false, 7); });
  bench.run_until(2);
  CHECK(bench.polls[0].ca_version == 0);
  CHECK(bench.polls[1].ca_version == 7);
}

TEST_CASE("the server that is spoken to is told to other threads while the link changes it") {
  Bench bench;
  bench.answer_polls([](std::size_t, auto const&) { return Bench::idle(); });
  bench.speak_to({"https://127.0.0.1:1", bench.server.url()});
  Link link(*bench.device.context, *bench.remote, *bench.device.runner, *bench.remotes);
  CHECK(link.server() == "https://127.0.0.1:1");
  std::thread looping([&] { link.loop(); });
  auto const until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (link.server() != bench.server.url() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  bench.device.context->stop = true;
  link.hurry();
  looping.join();
  CHECK(link.server() == bench.server.url());
}

TEST_CASE("hurried, a poll that waits is given up and the next one starts") {
  Bench bench;
  bench.answer_polls([](std::size_t, auto const&) { return net::json_response(200, wire::encode(wire::PollResponse{{}, 3600, false, 0, {}})); });
  Link link(*bench.device.context, *bench.remote, *bench.device.runner, *bench.remotes);
  std::thread looping([&] { link.loop(); });
  auto const reach = [&](std::size_t count) {
    std::unique_lock lock(bench.mutex);
    return bench.came.wait_for(lock, std::chrono::seconds{20}, [&] { return bench.polls.size() >= count; });
  };
  CHECK(reach(1));
  link.hurry();
  CHECK(reach(2));
  // The second one is left alone: its answer comes.
  auto const until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (link.last_contact() == SysTime{} && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  bench.device.context->stop = true;
  link.hurry();
  looping.join();
  CHECK(link.last_contact() != SysTime{});
}

}  // namespace
}  // namespace fleet::agent
