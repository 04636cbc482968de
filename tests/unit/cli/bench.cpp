#include "tests/unit/cli/bench.hpp"

#include "core/base/env.hpp"
#include "core/crypto/x509.hpp"

#include <cstdlib>
#include <stdexcept>

namespace fleet::cli::testing {

struct FakeServer::State final : net::Handler {
  std::uint64_t body_limit(net::Method, std::string_view) override { return 8 * 1024 * 1024; }
  void handle(net::Request&& request, net::Responder responder) override {
    Seen one{std::string(net::to_string(request.method)) + " " + request.target, std::move(request.body), std::move(request.headers)};
    std::lock_guard const lock(mutex);
    seen.push_back(one);
    responder(script(one));
  }
  Script script;
  mutable std::mutex mutex;
  std::vector<Seen> seen;
};

FakeServer::FakeServer(Script script) : state_(std::make_shared<State>()) {
  state_->script = std::move(script);
  auto const from = system_clock().wall() - std::chrono::hours(1);
  auto const until = from + std::chrono::hours(24);
  auto const ca = crypto::make_ca("test CA", from, until).value();
  auto const certificate = crypto::make_server_certificate(ca, {"127.0.0.1"}, from, until).value();
  ca_pem_ = ca.certificate;
  net::ListenerConfig listener;
  listener.name = "fake";
  listener.certificate_pem = certificate.certificate;
  listener.private_key_pem = certificate.private_key;
  listener.handler = state_;
  std::vector<net::ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  server_ = net::Server::create(std::move(listeners), {}, 1, system_clock()).value();
  server_->start();
}

FakeServer::~FakeServer() { server_->stop(Millis{1000}); }
std::string FakeServer::url() const { return "https://127.0.0.1:" + std::to_string(server_->port(0)); }

std::vector<Seen> FakeServer::seen() const {
  std::lock_guard const lock(state_->mutex);
  return state_->seen;
}

net::Response problem(int status, std::string_view code, std::string_view detail, std::string_view hint) {
  auto response = net::json_response(status, R"({"type":"urn:fleet:problem:)" + std::string(code) + R"(","title":"t","status":)" + std::to_string(status) +
                                                 R"(,"detail":")" + std::string(detail) + R"(","code":")" + std::string(code) + R"(","hint":")" +
                                                 std::string(hint) + R"(","request_id":"req-7","errors":[]})");
  for (auto& header : response.headers)
    if (header.name == "Content-Type") header.value = "application/problem+json";
  return response;
}

TempFolder::TempFolder() {
  std::string name = fleet::environment("TMPDIR").value_or("/tmp") + "/fleetctl-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() { static_cast<void>(system_fs().remove_tree(path_)); }

std::string TempFolder::write(std::string const& name, std::string_view content) const {
  auto const path = path_ + "/" + name;
  system_fs().make_dirs(path.substr(0, path.rfind('/'))).value();
  system_fs().replace(path, content).value();
  return path;
}

Bench::Bench() : clock(*parse_rfc3339("2026-11-20T10:00:00Z")), working_folder(folder.path()) {}

void Bench::use(FakeServer const& server) {
  environment["FLEETCTL_SERVER"] = server.url();
  environment["FLEETCTL_CA"] = folder.write("ca.pem", server.ca_pem());
  environment["FLEETCTL_TOKEN"] = "flt_test";
}

int Bench::run(std::vector<std::string> const& words) {
  console.stdout_text.clear();
  console.stderr_text.clear();
  console.pauses.clear();
  auto const get = [this](std::string const& name) -> std::optional<std::string> {
    auto const at = environment.find(name);
    return at == environment.end() ? std::nullopt : std::optional(at->second);
  };
  return cli::run(words, {console, system_fs(), clock, system_clock(), system_random(), get, working_folder});
}

}  // namespace fleet::cli::testing
