#include "tests/unit/agent/proof/release_folder.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

using namespace fleet;
using namespace fleet::agent;

namespace {

using Verdict = ProbationRun::Verdict;
std::string const kDigest(64, 'a');

wire::Manifest manifest_of(Millis time, std::int64_t inferences, Millis max) {
  wire::Manifest manifest;
  manifest.probation = wire::Probation{time, inferences, max};
  return manifest;
}

wire::HealthCheck exec_check() {
  wire::HealthCheck check;
  check.exec = {"healthy"};
  check.every = Millis{1'000};
  return check;
}

wire::HealthCheck accuracy_check() {
  wire::HealthCheck check;
  check.statsd = wire::HealthCheck::StatsD{"accuracy", 0.9, std::nullopt, "mean", Millis{60'000}, 10};
  check.every = Millis{100};
  return check;
}

void send(ReleaseFolder& folder, std::string const& sample, int times = 1) {
  for (int i = 0; i < times; ++i) folder.collector.take(sample + "|#release:" + kDigest);
}

/// Answers every connection with one status until it goes.
class HttpServer {
public:
  explicit HttpServer(std::string status) : status_(std::move(status)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        int const client = ::accept(fd_, nullptr, nullptr);
        if (client < 0) return;
        char buffer[1024];
        static_cast<void>(::recv(client, buffer, sizeof buffer, 0));
        auto const answer = "HTTP/1.1 " + status_ + "\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        static_cast<void>(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL));
        ::close(client);
      }
    });
  }
  ~HttpServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/healthz"; }

private:
  std::string status_;
  int fd_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("without probation a release commits at the switch") {
  ReleaseFolder folder;
  ProbationRun run(folder.bench(), folder.candidate(), wire::Manifest{});
  CHECK(run.step() == Verdict::healthy);
}

TEST_CASE("probation takes its time and its inferences, both") {
  ReleaseFolder folder;
  folder.collector.running("reader", kDigest);
  ProbationRun run(folder.bench(), folder.candidate(), manifest_of(Millis{10'000}, 100, Millis{60'000}));
  send(folder, "inferences:99|c");
  CHECK(run.step() == Verdict::pending);
  folder.clock.advance(Millis{11'000});
  CHECK(run.step() == Verdict::pending);
  folder.collector.take("inferences:50|c");  // untagged: of whichever release
  CHECK(run.step() == Verdict::pending);
  send(folder, "inferences:1|c");
  CHECK(run.step() == Verdict::healthy);
}

TEST_CASE("what was counted before the switch is no evidence") {
  ReleaseFolder folder;
  folder.collector.running("reader", kDigest);
  send(folder, "inferences:1000|c");
  folder.clock.advance(Millis{5'000});
  ProbationRun run(folder.bench(), folder.candidate(), manifest_of(Millis{0}, 10, Millis{60'000}));
  CHECK(run.step() == Verdict::pending);
}

TEST_CASE("at its maximum, probation without its inferences has failed, and says what is missing") {
  ReleaseFolder folder;
  folder.collector.running("reader", kDigest);
  ProbationRun run(folder.bench(), folder.candidate(), manifest_of(Millis{1'000}, 100, Millis{60'000}));
  send(folder, "inferences:7|c");
  folder.clock.advance(Millis{60'000});
  CHECK(run.step() == Verdict::failed);
  CHECK(run.error().code == "probation_timeout");
  CHECK(run.error().text.find("7 of 100 inferences") != std::string::npos);
}

TEST_CASE("a StatsD rule decides as soon as its window has the samples") {
  ReleaseFolder folder;
  folder.collector.running("reader", kDigest);
  auto manifest = manifest_of(Millis{1'000}, 0, Millis{600'000});
  manifest.health = {accuracy_check()};
  {
    ProbationRun run(folder.bench(), folder.candidate(), manifest);
    send(folder, "accuracy:0|d", 9);
    folder.clock.advance(Millis{2'000});
    CHECK(run.step() == Verdict::pending);
    send(folder, "accuracy:1|d");
    folder.clock.advance(Millis{200});
    CHECK(run.step() == Verdict::failed);
    CHECK(run.error().code == "health_failed");
    CHECK(run.error().text.find("accuracy") != std::string::npos);
  }
  folder.clock.advance(Millis{120'000});
  ProbationRun run(folder.bench(), folder.candidate(), manifest);
  send(folder, "accuracy:1|d", 20);
  folder.clock.advance(Millis{1'000});
  CHECK(run.step() == Verdict::healthy);
}

TEST_CASE("an exec check fails the release after three failures in a row, and heals in between") {
  ReleaseFolder folder;
  auto manifest = manifest_of(Millis{10'000}, 0, Millis{600'000});
  manifest.health = {exec_check()};
  ProbationRun run(folder.bench(), folder.candidate(), manifest);
  auto const next = [&](std::string const& body) {
    folder.script("healthy", body);
    auto const verdict = run.step();
    folder.clock.advance(Millis{1'000});
    return verdict;
  };
  CHECK(next("exit 1") == Verdict::pending);
  CHECK(next("exit 1") == Verdict::pending);
  CHECK(next("exit 0") == Verdict::pending);
  CHECK(next("exit 1") == Verdict::pending);
  CHECK(next("exit 1") == Verdict::pending);
  CHECK(next("echo why; exit 1") == Verdict::failed);
  CHECK(run.error().code == "health_failed");
  CHECK(run.error().output == "why\n");
}

TEST_CASE("probation ends healthy only when every check's last run was good") {
  ReleaseFolder folder;
  auto manifest = manifest_of(Millis{2'000}, 0, Millis{600'000});
  manifest.health = {exec_check()};
  ProbationRun run(folder.bench(), folder.candidate(), manifest);
  folder.script("healthy", "exit 1");
  folder.clock.advance(Millis{5'000});
  CHECK(run.step() == Verdict::pending);
  folder.script("healthy", "exit 0");
  folder.clock.advance(Millis{1'000});
  CHECK(run.step() == Verdict::healthy);
}

TEST_CASE("an HTTP check takes 2xx and 3xx for healthy") {
  struct Case {
    std::string status;
    Verdict verdict;
  };
  for (auto const& [status, verdict] : std::to_array<Case>(
           {{"200 OK", Verdict::healthy}, {"302 Found", Verdict::healthy}, {"404 Not Found", Verdict::failed}, {"503 Busy", Verdict::failed}})) {
    CAPTURE(status);
    HttpServer const server(status);
    ReleaseFolder folder;
    wire::HealthCheck check;
    check.http = server.url();
    check.every = Millis{100};
    auto manifest = manifest_of(Millis{200}, 0, Millis{600'000});
    manifest.health = {check};
    ProbationRun run(folder.bench(), folder.candidate(), manifest);
    auto got = Verdict::pending;
    for (int i = 0; i < 5 && got == Verdict::pending; ++i) {
      got = run.step();
      folder.clock.advance(Millis{100});
    }
    CHECK(got == verdict);
    if (got == Verdict::failed) CHECK(run.error().text.find(status.substr(0, 3)) != std::string::npos);
  }
}
