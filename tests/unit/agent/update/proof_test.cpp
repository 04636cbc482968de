#include "tests/unit/agent/device.hpp"

#include "agent/thread.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

using namespace fleet;
using namespace fleet::agent;

namespace {

wire::Manifest hour_of_probation() {
  wire::Manifest manifest;
  manifest.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{4}};
  return manifest;
}

/// Its check is a file that the release does not have: it fails three times in a row without running anything.
wire::Manifest failing_health() {
  auto manifest = hour_of_probation();
  wire::HealthCheck check;
  check.exec = {"bin/no-such-file"};
  check.every = Millis{1'000};
  manifest.health = {check};
  return manifest;
}

Sample const kSlow = sample("1", hour_of_probation());
Sample const kOther = sample("2");

wire::DirectiveTarget install_of(Sample const& release, std::string rollout, std::int64_t attempt = 1) {
  auto out = Device::target(release, std::move(rollout), attempt);
  out.action = wire::Action::install;
  return out;
}

/// States reported for a rollout.
std::vector<std::string> told_of_rollout(Device& device, std::string const& rollout = "ro-9") {
  std::vector<std::string> out;
  for (auto const& item : device.reports())
    if (item.rollout == rollout) out.push_back(item.state);
  return out;
}

bool link_is(Device& device, Sample const& release) { return device.current() == release.digest; }

}  // namespace

TEST_CASE("a proof takes the time of the probation, changes nothing that runs and is told as an update is") {
  Device device;
  device.run_committed(kSlow);
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  device.runner->round();
  CHECK(device.state().state == State::proving);
  CHECK(device.state().rollout == "ro-9");
  CHECK(device.runner->is_working());
  device.clock.advance(std::chrono::minutes{59});
  device.runner->round();
  CHECK(device.state().state == State::proving);
  device.clock.advance(std::chrono::minutes{1});
  device.runner->round();
  CHECK(device.state().state == State::proved);
  CHECK_FALSE(device.runner->is_working());
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved"});
  auto const last = device.reports().back();
  CHECK(last.digest == kSlow.digest);
  CHECK(last.version == "1");
  CHECK(last.running_digest == kSlow.digest);
  CHECK(last.attempt == 1);
  CHECK(last.error.code.empty());
  CHECK(link_is(device, kSlow));
}

TEST_CASE("a proof that is done is not run again for the same attempt, also after other orders and a restart; for a higher one it is") {
  Device device;
  device.run_committed(kSlow);
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  device.settle(5);
  REQUIRE(device.state().state == State::proved);
  REQUIRE(device.direct({}));
  device.settle(1);
  REQUIRE(device.direct({install_of(kSlow, "ro-1")}));
  device.settle(1);
  CHECK(device.state().state == State::committed);
  REQUIRE(device.boot());
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  device.settle(5);
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved"});
  REQUIRE(device.direct({Device::proof_of(kSlow, "ro-9", 2)}));
  device.settle(5);
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved", "proving", "proved"});
}

TEST_CASE("a proof that failed leaves what runs as it was: no way back, no hold, no refusal") {
  Device device;
  auto const sick = sample("1", failing_health());
  device.run_committed(sick);
  auto const before = device.state();
  REQUIRE(device.direct({Device::proof_of(sick)}));
  device.settle(5);
  CHECK(device.state().state == State::failed);
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "failed"});
  CHECK(device.reports().back().error.code == "not_in_release");
  CHECK(device.reports().back().running_digest == sick.digest);
  CHECK(link_is(device, sick));
  CHECK(device.state().running == before.running);
  CHECK(device.state().held.empty());
  CHECK(device.state().refusals.empty());
  // What is wanted later is taken, the same release by another rollout and a new one by the same rollout.
  REQUIRE(device.direct({install_of(sick, "ro-1", 2)}));
  device.settle(1);
  CHECK(device.state().state == State::committed);
  device.bring(kOther);
  REQUIRE(device.direct({Device::target(kOther, "ro-9")}));
  device.settle(1);
  CHECK(link_is(device, kOther));
}

TEST_CASE("where nothing is to be checked a proof begins and ends at once") {
  Device device;
  auto const plain = sample("1");
  device.run_committed(plain);
  REQUIRE(device.direct({Device::proof_of(plain)}));
  device.runner->round();
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved"});
}

TEST_CASE("what does not run is not proved, and that is told once") {
  for (bool const runs_other : {true, false}) {
    CAPTURE(runs_other);
    Device device;
    if (runs_other) device.run_committed(kOther);
    REQUIRE(device.direct({Device::proof_of(kSlow)}));
    device.settle(3);
    CHECK(device.state().state == State::ineligible);
    CHECK(told_of_rollout(device) == std::vector<std::string>{"ineligible"});
    CHECK(device.reports().back().error.code == "not_running");
    CHECK(device.reports().back().digest == kSlow.digest);
    CHECK(device.reports().back().running_digest == (runs_other ? kOther.digest : ""));
    CHECK(device.current() == (runs_other ? kOther.digest : ""));
    REQUIRE(device.boot());
    device.settle(2);
    CHECK(told_of_rollout(device).size() == 1);
    device.bring(kSlow);
    REQUIRE(device.direct({Device::target(kSlow, "ro-9")}));
    device.settle(5);
    CHECK(device.state().state == State::committed);
    CHECK(link_is(device, kSlow));
  }
}

TEST_CASE("what gates a switch gates the start of a proof, and a proof that began goes on outside it") {
  Device device;
  device.fs.put("/agent/agent.yaml", "conditions: {battery: /sys/battery}");
  device.fs.put("/sys/battery", "20\n");
  device.run_committed(kSlow);
  auto wanted = Device::proof_of(kSlow);
  wanted.conditions.battery_min_percent = 30;
  REQUIRE(device.direct({wanted}));
  device.settle(3);
  CHECK(device.state().state == State::waiting);
  CHECK(device.state().waiting == "battery");
  CHECK(device.state().rollout == "ro-9");
  device.fs.put("/sys/battery", "31\n");
  device.runner->round();
  CHECK(device.state().state == State::proving);
  CHECK(device.state().waiting.empty());
  device.fs.put("/sys/battery", "5\n");
  device.settle(5);
  CHECK(told_of_rollout(device) == std::vector<std::string>{"waiting", "proving", "proved"});
}

TEST_CASE("past act_before no proof begins, one that waited neither") {
  Device device;
  device.fs.put("/agent/agent.yaml", "conditions: {battery: /sys/battery}");
  device.fs.put("/sys/battery", "20\n");
  device.run_committed(kSlow);
  auto wanted = Device::proof_of(kSlow);
  wanted.conditions.battery_min_percent = 30;
  REQUIRE(device.direct({wanted}));
  device.runner->round();
  REQUIRE(device.state().state == State::waiting);
  device.clock.advance(std::chrono::days{8});
  device.fs.put("/sys/battery", "100\n");
  device.settle(2);
  CHECK(told_of_rollout(device) == std::vector<std::string>{"waiting", "idle"});
  REQUIRE(device.direct({wanted}));
  device.settle(5);
  CHECK(device.state().state == State::proved);
}

TEST_CASE("a restart in mid-proof counts the time on, and the third that nothing ordinary ended is a failure, as in a probation") {
  Device device;
  device.run_committed(kSlow);
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  device.runner->round();
  REQUIRE(device.context->journal.state("reader").run.starts == 1);
  device.clock.advance(std::chrono::minutes{40});
  device.runner->round();
  REQUIRE(device.boot());
  device.runner->round();
  CHECK(device.state().state == State::proving);
  CHECK(device.context->journal.state("reader").run.starts == 2);
  device.clock.advance(std::chrono::minutes{20});
  device.runner->round();
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved"});
  REQUIRE(device.direct({Device::proof_of(kSlow, "ro-9", 2)}));
  for (int cut = 0; cut < 4; ++cut) {
    device.runner->round();
    REQUIRE(device.boot());
  }
  device.runner->round();
  CHECK(device.state().state == State::failed);
  CHECK(device.state().error.code == "interrupted");
  CHECK(link_is(device, kSlow));
}

TEST_CASE("cut at any call, by kill or by power, a proof ends and what runs is untouched") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Device device;
      device.run_committed(kSlow);
      device.fs.restart(CrashFs::Loss::unsynced);
      device.fs.cut_at(step);
      if (device.direct({Device::proof_of(kSlow)})) device.settle(5);
      bool const hit = device.fs.was_hit();
      device.fs.restart(loss);
      REQUIRE(device.boot());
      device.sequence += 10;
      REQUIRE(device.direct({Device::proof_of(kSlow)}));
      device.settle(5);
      CHECK(device.state().state == State::proved);
      CHECK(device.state().running == Version{kSlow.digest, "1"});
      CHECK(link_is(device, kSlow));
      CHECK(device.reports().back().state == "proved");
      if (!hit) break;
    }
  }
}

TEST_CASE("a newer word ends a proof without a failure: none, another rollout, an update, the owner's rollback") {
  for (std::string const word : {"none", "rollout", "update", "owner"}) {
    CAPTURE(word);
    Device device;
    device.run_committed(kOther);
    device.bring(kSlow);
    REQUIRE(device.direct({Device::target(kSlow, "ro-1")}));
    device.settle(5);
    REQUIRE(device.state().state == State::committed);
    REQUIRE(device.direct({Device::proof_of(kSlow)}));
    device.runner->round();
    REQUIRE(device.state().state == State::proving);
    auto const three = sample("3");
    device.bring(three);
    if (word == "none") REQUIRE(device.direct({}));
    if (word == "rollout") REQUIRE(device.direct({Device::proof_of(kSlow, "ro-10")}));
    if (word == "update") REQUIRE(device.direct({Device::target(three, "ro-9")}));
    if (word == "owner") REQUIRE(device.runner->roll_back("reader").has_value());
    device.runner->round();
    auto const told = device.reports();
    CHECK(std::none_of(told.begin(), told.end(), [](auto const& item) { return item.state == "failed" || item.state == "proved"; }));
    CHECK(told_of_rollout(device).at(1) == "idle");
    if (word == "none") CHECK(device.state().state == State::idle);
    if (word == "rollout") CHECK(device.state().state == State::proving);
    if (word == "rollout") CHECK(device.state().rollout == "ro-10");
    if (word == "update") CHECK(link_is(device, three));
    if (word == "owner") CHECK(link_is(device, kOther));
    if (word == "owner") CHECK(device.state().held == kSlow.digest);
  }
}

TEST_CASE("the same word again does not begin a proof anew") {
  Device device;
  device.run_committed(kSlow);
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  for (int i = 0; i < 4; ++i) {
    device.settle(1);
    REQUIRE(device.direct({Device::proof_of(kSlow)}));
  }
  device.runner->round();
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "proved"});
}

TEST_CASE("an update before its switch gives way to a proof, one after it is finished first") {
  Device device;
  device.run_committed(kSlow);
  REQUIRE(device.direct({install_of(sample("3"), "ro-3")}));
  device.runner->round();
  REQUIRE(device.state().state == State::checking);
  REQUIRE(device.direct({Device::proof_of(kSlow)}));
  device.runner->round();
  CHECK(device.state().state == State::proving);
  device.settle(5);
  auto const four = sample("4", hour_of_probation());
  device.bring(four);
  REQUIRE(device.direct({Device::target(four, "ro-4")}));
  device.runner->round();
  REQUIRE(device.state().state == State::probation);
  REQUIRE(device.direct({Device::proof_of(four)}));
  device.runner->round();
  CHECK(device.state().state == State::probation);
  device.clock.advance(std::chrono::hours{1});
  device.runner->round();
  CHECK(told_of_rollout(device, "ro-4") == std::vector<std::string>{"downloading", "testing", "probation", "committed"});
  CHECK(device.state().state == State::proving);
}

namespace {

/// Takes connections and never answers.
class Silent {
public:
  Silent() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  Silent(Silent const&) = delete;
  ~Silent() { ::close(fd_); }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/healthz"; }
  /// Somebody asks.
  [[nodiscard]] bool is_asked() const {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, 20'000) == 1;
  }

private:
  int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
};

}  // namespace

TEST_CASE("a newer word reaches a proof within two seconds, whatever its check does") {
  Silent const app;
  auto manifest = hour_of_probation();
  wire::HealthCheck check;
  check.http = app.url();
  check.every = Millis{1'000};
  check.timeout = std::chrono::minutes{2};
  manifest.health = {check};
  auto const busy = sample("1", manifest);
  Device device;
  device.run_committed(busy);
  std::mutex mutex;
  std::condition_variable came;
  bool dropped = false;
  device.context->spool->on_urgent([&] {
    bool const idle = device.reported_states().back() == "idle";
    std::lock_guard const lock(mutex);
    dropped = idle;
    came.notify_all();
  });
  REQUIRE(device.direct({Device::proof_of(busy)}));
  Thread const looping([&] { device.runner->loop(); });
  CHECK(app.is_asked());
  auto const asked = std::chrono::steady_clock::now();
  CHECK(device.direct({}));
  {
    std::unique_lock lock(mutex);
    CHECK(came.wait_for(lock, std::chrono::seconds{20}, [&] { return dropped; }));
  }
  CHECK(std::chrono::steady_clock::now() - asked < std::chrono::seconds{2});
  CHECK(told_of_rollout(device) == std::vector<std::string>{"proving", "idle"});
  device.runner->stop();
}
