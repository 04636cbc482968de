// A thief with a server's data folder, who serves devices what he likes: the device side of fleet-server, with one lie. For tests, loopback only.
// usage: hostile-server --data DIR --lie NAME --release M@V [--other M@V] --port-file FILE [--port N]
//   Orders M@V to every device that polls, signed with the stolen keys. --other: what it is mixed up with. Ends by a signal.
#include "core/base/fs.hpp"
#include "core/net/server.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/release.hpp"
#include "server/blobs/store/paths.hpp"
#include "tests/support/hostile/lies.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace {

using namespace fleet;
using namespace fleet::hostile;

constexpr std::string_view kBlobs = "/blobs/sha256/";

class Hostile final : public net::Handler {
public:
  Hostile(Stolen stolen, Lie const& lie, Aim const& aim) : stolen_(std::move(stolen)), lie_(lie), aim_(aim), files_(stolen_.files()) {
    if (lie_.files) lie_.files(files_, stolen_, aim_);
  }
  std::uint64_t body_limit(net::Method, std::string_view) override { return 1 << 20; }
  void handle(net::Request&& request, net::Responder answer) override { answer(respond(request)); }

private:
  net::Response respond(net::Request const& request) {
    if (!lie_.endless.empty() && request.path.find(lie_.endless) != std::string_view::npos)
      return {200, {{"Content-Type", "application/json"}}, net::FileBody{stolen_.dir + "/zeros", 0, lie_.zeros}, false};
    if (request.path == "/device/v1/poll") return poll(request);
    if (request.path == "/device/v1/reports") return reports(request);
    if (request.path.starts_with(kBlobs)) return blob(request.path.substr(kBlobs.size()), request.header("Range"));
    auto const found = files_.find(std::string(request.path));
    return found == files_.end() ? net::json_response(404, R"({"code":"not_found"})") : net::json_response(200, found->second);
  }

  net::Response poll(net::Request const& request) {
    auto const told = wire::decode_poll_request(request.body);
    if (!told || request.peer == nullptr) return net::json_response(400, "{}");
    wire::Directive directive;
    directive.device = request.peer->common_name;
    directive.sequence = told->directive_sequence + 1;
    directive.nonce = told->nonce;
    directive.issued_at = std::chrono::floor<seconds>(system_clock().wall());
    directive.expires = directive.act_before = directive.issued_at + std::chrono::days{7};
    directive.targets = {aim_.wanted->order()};
    directive.targets[0].rollout = fmt::format("hostile-{}", lie_.name);  // refusals are per rollout
    if (lie_.directive) lie_.directive(directive, *told, aim_);
    auto const payload = wire::encode(directive);
    auto const& key = stolen_.key_for(std::string(lie_.signer));
    wire::PollResponse const response{
        .directive = trust::make_envelope(wire::kDirectivePayloadType, as_bytes(payload), {&key, 1}), .next_poll_s = 1, .renew = false, .sources = {}};
    return net::json_response(200, wire::encode(response));
  }

  static net::Response reports(net::Request const& request) {
    auto const report = wire::decode_report(request.body);
    wire::ReportAnswer answer;
    for (auto const tier : wire::kTiers)
      if (report && !report->items[tier].empty()) answer.acked[tier] = answer.received[tier] = report->items[tier].back().sequence;
    return net::json_response(200, wire::encode(answer));
  }

  net::Response blob(std::string_view hex, std::string_view range) {
    auto const digest = Digest::parse(hex);
    if (!digest) return net::json_response(404, "{}");
    auto path = blobs::blob_path(stolen_.dir, *digest);
    if (lie_.name == "swapped-blobs") path = blobs::blob_path(stolen_.dir, instead_of(*digest));
    auto const info = system_fs().info(path);
    if (!info) return net::json_response(404, "{}");
    // `bytes=N-`, the one form that agents send.
    auto const from =
        range.empty() ? 0 : std::min<std::uint64_t>(std::strtoull(std::string(range.substr(range.find('=') + 1)).c_str(), nullptr, 10), info->size);
    return {range.empty() ? 200 : 206, {}, net::FileBody{path, from, info->size - from}, false};
  }

  /// A file of the other release in the place of one of the wanted.
  [[nodiscard]] Digest instead_of(Digest const& wanted) const {
    auto const release = wire::decode_release(aim_.wanted->document), other = wire::decode_release(aim_.other->document);
    auto const& files = release->variants[0].files;
    auto const at = std::find_if(files.begin(), files.end(), [&](wire::ReleaseFile const& file) { return file.sha256 == wanted; });
    return at == files.end() ? wanted : other->variants[0].files[static_cast<std::size_t>(at - files.begin())].sha256;
  }

  Stolen stolen_;
  Lie const& lie_;
  Aim aim_;
  std::map<std::string, std::string> files_;
};

Result<int> run(std::map<std::string, std::string> given) {
  FLEET_TRY(auto stolen, Stolen::from(given["--data"]));
  auto const known = lies();
  auto const lie = std::find_if(known.begin(), known.end(), [&](Lie const& one) { return one.name == given["--lie"]; });
  if (lie == known.end()) return Error{Kind::bad_input, "unknown_lie", fmt::format("no lie is called '{}'", given["--lie"])};
  if (given["--other"].empty()) given["--other"] = given["--release"];
  auto const wanted = stolen.find(given["--release"]), other = stolen.find(given["--other"]);
  if (wanted == nullptr || other == nullptr)
    return Error{Kind::not_found, "no_release", fmt::format("the stolen folder has no {} or no {}", given["--release"], given["--other"])};
  static StolenRelease const first = *wanted, second = *other;
  FLEET_TRY(auto const zeros, system_fs().open(given["--data"] + "/zeros", Fs::Mode::append_or_create));
  FLEET_CHECK(zeros->truncate(lie->zeros));
  net::ListenerConfig listener;
  listener.name = "hostile";
  listener.port = static_cast<std::uint16_t>(std::atoi(given["--port"].c_str()));
  listener.certificate_pem = stolen.certificate;
  listener.private_key_pem = stolen.private_key;
  listener.request_client_certificate = true;
  listener.handler = std::make_shared<Hostile>(std::move(stolen), *lie, Aim{&first, &second});
  std::vector<net::ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  FLEET_TRY(auto const server, net::Server::create(std::move(listeners), {}, 1, system_clock()));
  server->start();
  FLEET_CHECK(system_fs().replace(given["--port-file"], fmt::format("{}\n", server->port(0))));
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  auto const result = run(std::move(given));
  if (result) return *result;
  fmt::print(stderr, "hostile-server: {}\n", result.error().detail);
  return 1;
}
