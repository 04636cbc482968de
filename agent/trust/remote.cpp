#include "agent/trust/remote.hpp"

#include "core/base/log.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fleet::agent {
namespace {

constexpr Millis kPlain{30'000};
constexpr std::int64_t kRetryAfterMaxS = 3600;
constexpr char kUserAgent[] = "fleet-agent/" FLEET_VERSION;

bool other_server_may_help(Error const& error) { return (error.kind == Kind::unavailable || error.kind == Kind::timeout) && error.code != "cancelled"; }

}  // namespace

Error error_of(net::ClientResponse const& response) {
  Error out{kind_of_status(response.status), std::string(kPeerSays) + "refused", fmt::format("the server answered {}", response.status)};
  auto const problem = wire::parse_json(response.body, 64 * 1024);
  std::vector<FieldError> faults;
  if (!problem || !problem->is_object()) return out;
  wire::ObjectReader reader(*problem, "", faults);
  if (auto const code = reader.text("code", 64, {}); !code.empty()) out.code = std::string(kPeerSays) + code;
  out.detail = reader.text("detail", 2048, out.detail);
  out.hint = reader.text("hint", 1024, {});
  return out;
}

Error in_the_words_of_the_server(Error error) {
  if (error.code.starts_with(kPeerSays) && error.code != std::string(kPeerSays) + "refused") error.code.erase(0, kPeerSays.size());
  return error;
}

Result<std::unique_ptr<Remote>> Remote::create(Identity const& identity, std::vector<std::string> servers, TrustedClock const& clock, Clock& waits, net::ProxyRules proxy,
                                               LoadCas load_cas, net::Connect connect) {
  if (servers.empty()) return Error{Kind::bad_input, "no_server", "no server is known", "give --server, or servers in agent.yaml"};
  net::ClientConfig config;
  config.ca_pem = identity.ca;
  config.certificate_pem = identity.certificate;
  if (!identity.certificate.empty()) config.private_key_pem = identity.private_key;
  config.ignore_not_before = clock.behind();
  config.proxy = std::move(proxy);
  config.user_agent.clear();  // a poll tells the version itself
  FLEET_TRY(auto client, connect(config, waits));
  std::unique_ptr<Remote> out(new Remote(std::move(config), waits, std::move(connect), std::move(client), std::move(servers)));
  out->load_cas_ = std::move(load_cas);
  return out;
}

Result<std::unique_ptr<Remote>> Remote::create_unproven(std::vector<std::string> servers, Clock& waits, net::ProxyRules proxy, net::Connect connect) {
  net::ClientConfig config;
  config.proxy = std::move(proxy);
  config.trust_any_server = true;
  config.user_agent = kUserAgent;
  FLEET_TRY(auto client, connect(config, waits));
  return std::unique_ptr<Remote>(new Remote(std::move(config), waits, std::move(connect), std::move(client), std::move(servers)));
}

void Remote::cancel() {
  std::lock_guard const lock(mutex_);
  client_->cancel();
  if (stranger_) stranger_->cancel();
}

void Remote::use(Credential credential) {
  std::lock_guard const lock(mutex_);
  credential_ = std::move(credential);
}

void Remote::trust(std::string ca) {
  std::lock_guard const lock(mutex_);
  trusted_ = std::move(ca);
}

Result<void> Remote::take_changes() {
  std::lock_guard const lock(mutex_);
  if (!credential_ && trusted_.empty()) return {};
  auto config = config_;
  if (credential_) {
    config.certificate_pem = credential_->certificate;
    config.private_key_pem = credential_->private_key;
  }
  if (!trusted_.empty()) config.ca_pem = trusted_;
  FLEET_TRY(client_, connect_(config, waits_));
  config_ = std::move(config);
  credential_.reset();
  trusted_.clear();
  strangers_.clear();  // another CA may know them
  return {};
}

Result<net::ClientResponse> Remote::send(net::ClientRequest request, std::string const& path) {
  FLEET_CHECK(take_changes());
  for (std::size_t tried = 1;; ++tried) {
    request.url = servers_[at_] + path;
    retry_after_ = Millis{0};
    auto response = client_->send(request, {});
    if (!response && other_server_may_help(response.error()) && tried < servers_.size()) {
      at_ = (at_ + 1) % servers_.size();
      continue;
    }
    if (!response) return response.error();
    if (response->status >= 300) return refused(*response);
    return response;
  }
}

Result<net::ClientResponse> Remote::post(std::string const& path, std::string body, Millis timeout, std::uint64_t limit_bytes) {
  net::ClientRequest request;
  request.method = net::Method::post;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  request.timeout = timeout;
  request.body_limit = limit_bytes;
  return send(std::move(request), path);
}

Result<net::ClientResponse> Remote::get(std::string const& path, std::uint64_t limit_bytes) {
  net::ClientRequest request;
  request.timeout = kPlain;
  request.body_limit = limit_bytes;
  return send(std::move(request), path);
}

Result<net::ClientResponse> Remote::fetch(std::string const& source, std::string const& path, Rest rest, net::BodySink const& sink) {
  FLEET_CHECK(take_changes());
  net::ClientRequest request;
  request.url = (source.empty() ? servers_[at_] : source) + path;
  request.timeout = kPlain;
  request.body_limit = rest.size_bytes;  // not what is left: a Range may be answered with the whole file
  bool const to_end = rest.end == 0 || rest.end >= rest.size_bytes;
  if (rest.offset > 0 || !to_end) request.headers = {{"Range", to_end ? fmt::format("bytes={}-", rest.offset) : fmt::format("bytes={}-{}", rest.offset, rest.end - 1)}};
  retry_after_ = Millis{0};
  FLEET_TRY(auto ours, fetch_as_ours(source, request, sink));
  FLEET_TRY(auto response, ours ? Result<net::ClientResponse>(*std::move(ours)) : fetch_from_stranger(request, sink));
  if (response.status >= 300) return refused(response);
  return response;
}

Result<std::optional<net::ClientResponse>> Remote::fetch_as_ours(std::string const& source, net::ClientRequest const& request, net::BodySink const& sink) {
  if (source.starts_with("http://") || strangers_.contains(source)) return std::optional<net::ClientResponse>{};
  auto response = client_->send(request, sink);
  if (response) return std::optional(*std::move(response));
  bool const is_server = source.empty() || std::find(servers_.begin(), servers_.end(), source) != servers_.end();
  if (is_server || response.error().code != "peer_not_trusted") return response.error();
  strangers_.insert(source);
  return std::optional<net::ClientResponse>{};
}

Result<net::ClientResponse> Remote::fetch_from_stranger(net::ClientRequest const& request, net::BodySink const& sink) {
  if (!stranger_) {
    net::ClientConfig config;
    auto const cas = load_cas_ ? load_cas_() : Result<std::string>(std::string());
    if (cas) config.ca_pem = *cas;
    else log::warn("sources.no_certificates", {{"error", cas.error().detail}});
    config.allow_plain_http = true;
    config.ignore_not_before = config_.ignore_not_before;
    config.proxy = config_.proxy;
    config.user_agent = kUserAgent;
    FLEET_TRY(auto client, connect_(config, waits_));
    std::lock_guard const lock(mutex_);
    stranger_ = std::move(client);
  }
  return stranger_->send(request, sink);
}

Remotes::Remotes(Identity identity, std::vector<std::string> servers, TrustedClock const& clock, Clock& waits, net::ProxyRules proxy,
                 LoadCas load_cas, net::Connect connect)
    : identity_(std::move(identity)), servers_(std::move(servers)), clock_(clock), waits_(waits), proxy_(std::move(proxy)), load_cas_(std::move(load_cas)), connect_(std::move(connect)) {}

Result<std::shared_ptr<Remote>> Remotes::make() {
  std::lock_guard const lock(mutex_);
  FLEET_TRY(auto made, Remote::create(identity_, servers_, clock_, waits_, proxy_, load_cas_, connect_));
  std::shared_ptr<Remote> out = std::move(made);
  std::erase_if(made_, [](auto const& one) { return one.expired(); });
  made_.push_back(out);
  return out;
}

void Remotes::use(Credential credential) {
  std::lock_guard const lock(mutex_);
  identity_.certificate = credential.certificate;
  identity_.private_key = credential.private_key;
  each([&](Remote& one) { one.use(credential); });
}

void Remotes::trust(std::string ca) {
  std::lock_guard const lock(mutex_);
  identity_.ca = std::move(ca);
  each([&](Remote& one) { one.trust(identity_.ca); });
}

void Remotes::each(std::function<void(Remote&)> const& apply) {
  for (auto const& one : made_)
    if (auto const remote = one.lock()) apply(*remote);
}

Result<net::ClientResponse> Remote::refused(net::ClientResponse const& response) {
  auto const text = response.header("Retry-After");
  std::int64_t wanted_s = 0;
  std::from_chars(text.data(), text.data() + text.size(), wanted_s);
  retry_after_ = std::chrono::seconds{std::clamp<std::int64_t>(wanted_s, 0, kRetryAfterMaxS)};
  return error_of(response);
}

}  // namespace fleet::agent
