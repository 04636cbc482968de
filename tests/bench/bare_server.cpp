// The least program over core/net: a prebuilt answer of 100 bytes, or files of a folder. What it reaches is the ceiling of fleet-server's polls.
// usage: bare-server --cert FILE --key FILE [--folder DIR] [--threads N] [--clients 1: asks for their certificates] [--plain 1: without TLS] [--egress BYTES a second]   prints its port; ends with its standard
// input
#include "core/base/fs.hpp"
#include "core/net/server.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <map>

namespace {

using namespace fleet;

class Bare final : public net::Handler {
public:
  explicit Bare(std::string folder) : folder_(std::move(folder)) {}
  std::uint64_t body_limit(net::Method, std::string_view) override { return 64 * 1024; }
  void handle(net::Request&& request, net::Responder answer) override {
    request.standing->recognise(request.peer->key_sha256);
    if (request.path == "/") return answer({200, {{"Content-Type", "application/json"}}, text_, false});
    auto const path = folder_ + std::string{request.path};
    auto const info = is_safe_relative_path(request.path.substr(1)) ? system_fs().info(path) : Result<FileInfo>{Error{Kind::not_found, "", ""}};
    if (!info) return answer(net::json_response(404, "{}"));
    answer({200, {}, net::FileBody{path, 0, info->size}, false});
  }

private:
  std::string folder_;
  net::SharedBody text_ =
      std::make_shared<std::string const>(R"({"directive":null,"next_poll_s":55,"renew":false,"sources":["https://fleet.example:8444"],"pad":"1234"})");
};

Result<int> run(std::map<std::string, std::string> given) {
  net::ListenerConfig listener;
  listener.name = "bare";
  FLEET_TRY(listener.certificate_pem, system_fs().read(given["--cert"], 1 << 20));
  FLEET_TRY(listener.private_key_pem, system_fs().read(given["--key"], 1 << 20));
  listener.plain = given.contains("--plain");
  listener.request_client_certificate = given.contains("--clients");
  listener.door.connections_an_identity = listener.door.connections;
  listener.handler = std::make_shared<Bare>(given["--folder"]);
  std::vector<net::ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  auto const threads = given.contains("--threads") ? std::atoi(given["--threads"].c_str()) : 1;
  FLEET_TRY(auto const server, net::Server::create(std::move(listeners), {.egress = given.contains("--egress") ? std::strtoull(given["--egress"].c_str(), nullptr, 10) : 0}, static_cast<unsigned>(threads), system_clock()));
  server->start();
  fmt::print("{}\n", server->port(0));
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->stop(Millis{1000});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  auto const result = run(std::move(given));
  if (result) return *result;
  fmt::print(stderr, "bare-server: {}\n", result.error().detail);
  return 1;
}
