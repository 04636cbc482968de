#pragma once

#include "core/trust/dsse.hpp"
#include "server/signing/key_ring.hpp"
#include "server/fronts/agent/polls.hpp"
#include "server/fronts/agent/reports.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>

/// A server's delivery without sockets: the real store in a folder of its own, an engine that says what the test told it, a clock that stands.
namespace fleet::fronts::test {

using delivery::DeviceRecord;

/// Runs what the parts post, one job at a time, on the test's own thread.
class FakeNet final : public net::Server {
public:
  [[nodiscard]] std::uint16_t port(std::size_t) const override { return 0; }
  void start() override {}
  void stop(Millis) override {}
  [[nodiscard]] net::ServerCounters counters() const override { return {}; }
  [[nodiscard]] bool egress_is_spent() const override { return false; }
  Result<void> replace_certificate(std::string const&, std::string const&) override { return {}; }
  [[nodiscard]] std::size_t threads() const override { return 1; }
  [[nodiscard]] std::size_t current_thread() const override { return 0; }
  void after(std::size_t, Millis delay, std::function<void()> job) override {
    std::lock_guard const lock(mutex_);
    (delay > Millis{0} ? timed_ : posted_).push_back(std::move(job));
    changed_.notify_all();
  }
  /// Waits for one posted job and runs it.
  void run_posted() { take(posted_)(); }
  /// Runs the sweep that was armed.
  void run_timed() { take(timed_)(); }
  [[nodiscard]] bool has_timed() const { return !timed_.empty(); }

private:
  std::function<void()> take(std::deque<std::function<void()>>& jobs) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return !jobs.empty(); }));
    auto job = std::move(jobs.front());
    jobs.pop_front();
    return job;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> posted_, timed_;
};

class FakeEngine final : public rollout::Engine {
public:
  rollout::Decision decision;
  int dispatches = 0;
  std::vector<wire::UpdateItem> updates;
  std::vector<wire::MetricsItem> metrics;
  std::vector<std::pair<rollout::ModelStatuses, rollout::ModelStatuses>> polled;  ///< before, told

  std::vector<std::int64_t> voices;  ///< devices that were heard, by polls or reports

  Millis heard(std::int64_t device_n, rollout::Habits const&) override { return heard(device_n); }
  Millis heard(std::int64_t device_n) override {
    std::lock_guard const lock(voices_mutex_);
    voices.push_back(device_n);
    return service_.now();
  }
  rollout::ServiceClock& clock() override { return service_; }
  Result<rollout::Decision> decide(db::Connection&, registry::DeviceFacts const&, SysTime) override { return decision; }
  Result<void> dispatched(store::Tx&, registry::DeviceFacts const&, rollout::Decision const&, SysTime) override {
    ++dispatches;
    return {};
  }
  Result<void> left(store::Tx&, std::int64_t, rollout::Leaving, SysTime) override { return {}; }
  int withdrawals = 0;
  Result<void> withdrawn(store::Tx&, std::int64_t, rollout::ModelStatuses const&, rollout::Decision const&) override {
    ++withdrawals;
    return {};
  }
  Result<void> on_poll(store::Tx&, std::int64_t, rollout::ModelStatuses const& before, rollout::ModelStatuses const& told, SysTime) override {
    polled.emplace_back(before, told);
    return {};
  }
  Result<void> on_update(store::Tx&, registry::DeviceFacts const&, wire::UpdateItem const& item, SysTime) override {
    updates.push_back(item);
    return {};
  }
  Result<void> on_metrics(store::Tx&, registry::DeviceFacts const&, wire::MetricsItem const& item, SysTime) override {
    metrics.push_back(item);
    return {};
  }
  void start() override {}
  void stop() override {}
  Result<int> look() override { return 0; }

  void say(std::string const& model, std::string const& version) {
    rollout::Desired desired;
    desired.model = model;
    desired.version = version;
    desired.target.model = model;
    desired.target.path = "models/" + model + "/" + version + "/release.json";
    desired.target.length = 10;
    desired.target.hashes = {{"sha256", std::string(64, 'a')}};
    desired.target.rollout = "rol_1";
    desired.target.attempt = 1;
    decision.models = {desired};
  }

private:
  std::mutex voices_mutex_;
  FakeClock own_clock_{SysTime{}};
  rollout::ServiceClock service_{own_clock_, Millis{0}};
};

/// Keeps the one answer of a poll.
struct Seen final : net::Responder::Sink {
  std::optional<net::Response> response;
  bool is_alive = true;
  void answer(net::Response given) override { response = std::move(given); }
  [[nodiscard]] bool alive() const override { return is_alive; }
  [[nodiscard]] std::string body() const {
    REQUIRE(response.has_value());
    if (auto const* shared = std::get_if<net::SharedBody>(&response->body)) return **shared;
    return std::get<std::string>(response->body);
  }
  [[nodiscard]] wire::PollResponse poll() const {
    auto decoded = wire::decode_poll_response(body());
    REQUIRE(decoded.has_value());
    return *decoded;
  }
};

class House {
public:
  explicit House(PollSettings settings = {})
      : House(std::filesystem::temp_directory_path() / ("fleet-delivery-" + std::to_string(system_random().next())), settings) {}
  ~House() {
    store->close();
    std::error_code ignored;
    std::filesystem::remove_all(dir, ignored);
  }

  std::filesystem::path dir;
  FakeClock clock{SysTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20}}};
  std::unique_ptr<store::Store> store;
  signing::KeyRing keys;
  FakeEngine engine;
  FakeNet net;
  Services services;
  std::optional<Polls> polls;
  std::unique_ptr<net::Attachment> connection;

  void write(std::string const& sql) {
    auto const job = [&](store::Tx& tx) { return tx.connection().script(sql); };
    auto const written = store->write_wait(store::Lane::verbs, job);
    REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().detail));
  }
  std::string read(std::string const& sql) {
    auto row = store->reader().prepare(db::Query{sql, sql});
    auto const found = row.step();
    REQUIRE(found.has_value());
    return *found ? row.text(0) : "(no row)";
  }

  /// A poll as cam-1 sends it; `nonce` is a number for the reader's eyes.
  static wire::PollRequest request(int nonce, std::int64_t sequence = 0, int wait_s = 0) {
    wire::PollRequest poll;
    poll.nonce = nonce_of(nonce);
    poll.prior = nonce > 1 ? nonce_of(nonce - 1) : "";
    poll.boot_id = "boot-1";
    poll.directive_sequence = sequence;
    poll.wait_s = wait_s;
    poll.report_every_s = 60;
    poll.poll_every_s = 900;
    poll.agent = "0.1.0";
    return poll;
  }
  static std::string nonce_of(int n) {
    Bytes bytes(16);
    bytes[0] = static_cast<std::uint8_t>(n);
    bytes[1] = static_cast<std::uint8_t>(n >> 8);
    return to_base64(bytes);
  }
  /// Sends without waiting for an answer.
  std::shared_ptr<Seen> send(wire::PollRequest const& poll) {
    auto seen = std::make_shared<Seen>();
    auto const body = wire::encode(poll);
    polls->handle({.device_n = 1, .body = body, .request_id = "req-1", .slot = &connection}, net::Responder(seen));
    return seen;
  }
  /// Sends and goes through the write that this poll makes.
  std::shared_ptr<Seen> send_through_write(wire::PollRequest const& poll) {
    auto seen = send(poll);
    if (!seen->response && polls->parking().count() == 0) net.run_posted();
    return seen;
  }
  wire::Directive directive_of(Seen const& seen) {
    auto const response = seen.poll();
    REQUIRE_FALSE(response.directive.empty());
    auto const key = keys.get("directive-root");
    REQUIRE(key.has_value());
    trust::KeySet const set{{{key->key_id(), key->public_key()}}, 1};
    auto const payload = trust::open_envelope(as_bytes(response.directive), wire::kDirectivePayloadType, set, wire::kDirectiveBytesMax);
    REQUIRE(payload.has_value());
    auto directive = wire::decode_directive(as_text(*payload));
    REQUIRE(directive.has_value());
    return *directive;
  }

private:
  static net::Response problem(Error const& error, std::string_view) { return net::json_response(http_status(error.kind), error.code); }

  House(std::filesystem::path const& path, PollSettings settings)
      : dir(path),
        store(open(path)),
        keys(system_fs(), system_random(), (path / "keys").string()),
        services{.data_dir = path.string(),
                 .clock = clock,
                 .fs = system_fs(),
                 .random = system_random(),
                 .store = *store,
                 .ca = {},
                 .server_name = "test",
                 .devices_url = "https://fleet.test:8444",
                 .keys = &keys,
                 .rollouts = &engine,
                 .net = &net} {
    REQUIRE(keys.get_or_create("directive-root").has_value());
    write(
        "INSERT INTO models (name, created_at) VALUES ('reader', 0);"
        "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES "
        "(1, 'cam-1', 'cam-a', 'active', x'01', " +
        std::to_string(to_unix_ms(clock.wall() + std::chrono::hours{24 * 365})) + ", 0)");
    polls.emplace(services, settings, &problem);
  }
  static std::unique_ptr<store::Store> open(std::filesystem::path const& path) {
    std::filesystem::create_directories(path / "keys");
    auto opened = store::Store::open(path.string(), system_clock());
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().detail));
    return std::move(*opened);
  }
};

}  // namespace fleet::fronts::test
