#include "server/access/oidc/issuer_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::oidc {
namespace {

constexpr std::chrono::minutes kGoodFor{10};
constexpr std::chrono::minutes kBetweenTries{1};
constexpr Millis kDeadline{5'000};
constexpr std::string_view kDiscovery = "/.well-known/openid-configuration";

Error unavailable(std::string detail) { return {Kind::unavailable, "issuer_unavailable", std::move(detail), "try again in a minute"}; }

wire::Jwk const* find_key(std::vector<wire::Jwk> const& keys, std::string_view id) {
  auto const found = std::find_if(keys.begin(), keys.end(), [&](wire::Jwk const& key) { return key.key_id == id; });
  return found == keys.end() ? nullptr : &*found;
}

/// The key's own kind says what it signs; a token that names another algorithm is refused.
Result<crypto::JwsKey> open_key(wire::Jwk const& key, wire::Jwt const& token) {
  FLEET_TRY(auto opened, key.kty == "RSA" ? crypto::JwsKey::rsa(key.modulus, key.exponent) : crypto::JwsKey::p256(key.x, key.y));
  if (opened.algorithm() == token.algorithm && (key.algorithm.empty() || key.algorithm == token.algorithm)) return opened;
  return Error{Kind::unauthenticated, "oidc_unknown_key",
               fmt::format("the token says {}, its key '{}' signs {}", token.algorithm, token.key_id, key.algorithm.empty() ? opened.algorithm() : key.algorithm),
               "the issuer must name the algorithm of its key"};
}

}  // namespace

Fetch fetch_over_tls(Clock& clock) {
  return [&clock](std::string const& url, std::string const& ca_pem) -> Result<std::string> {
    net::ClientConfig config;
    config.ca_pem = ca_pem;
    config.user_agent = "fleet-server";
    config.connect = kDeadline;
    FLEET_TRY(auto client, net::Client::create(std::move(config), clock));
    net::ClientRequest request;
    request.url = url;
    request.headers = {{"Accept", "application/json"}};
    request.timeout = kDeadline;
    request.body_limit = wire::kJwksBytesMax;
    FLEET_TRY(auto answer, client.send(request));
    if (answer.status != 200) return unavailable(fmt::format("GET {}: status {}, expected 200", url, answer.status));
    return std::move(answer.body);
  };
}

Result<std::vector<wire::Jwk>> IssuerKeys::fetch_keys(std::string const& issuer, std::string const& ca_pem) const {
  auto const base = issuer.substr(0, issuer.ends_with('/') ? issuer.size() - 1 : issuer.size());
  FLEET_TRY(auto const document, fetch_(base + std::string(kDiscovery), ca_pem));
  FLEET_TRY(auto const discovery, wire::decode_discovery(document));
  if (discovery.issuer != issuer)
    return unavailable(fmt::format("the discovery of '{}' is of issuer '{}'", issuer, discovery.issuer.substr(0, 200)));
  if (!discovery.jwks_uri.starts_with("https://"))
    return unavailable(fmt::format("jwks_uri '{}' is not https", discovery.jwks_uri.substr(0, 200)));
  FLEET_TRY(auto const keys, fetch_(discovery.jwks_uri, ca_pem));
  return wire::decode_jwks(keys);
}

Result<crypto::JwsKey> IssuerKeys::find(std::string const& issuer, std::string const& ca_pem, wire::Jwt const& token, MonoTime now) {
  std::unique_lock lock(mutex_);
  auto& kept = kept_[{issuer, ca_pem}];
  bool const good = kept.good_until && now < *kept.good_until;
  if (auto const* key = good ? find_key(kept.keys, token.key_id) : nullptr) return open_key(*key, token);
  if (kept.fetching) return Error{Kind::unavailable, "issuer_busy", fmt::format("the keys of {} are being fetched", issuer), "try again in a moment"};
  if (kept.tried && now < *kept.tried + kBetweenTries) {
    if (!good) return unavailable(fmt::format("the keys of {} could not be fetched a moment ago", issuer));
    return Error{Kind::unauthenticated, "oidc_unknown_key", fmt::format("the issuer has no key '{}'", token.key_id), "the token is forged, or its key was withdrawn"};
  }
  kept.tried = now;
  kept.fetching = true;
  lock.unlock();
  auto fetched = fetch_keys(issuer, ca_pem);
  lock.lock();
  kept.fetching = false;
  if (!fetched) return unavailable(fmt::format("the keys of {}: {}", issuer, fetched.error().detail));
  kept.keys = std::move(*fetched);
  kept.good_until = now + kGoodFor;
  if (auto const* key = find_key(kept.keys, token.key_id)) return open_key(*key, token);
  return Error{Kind::unauthenticated, "oidc_unknown_key", fmt::format("the issuer has no key '{}'", token.key_id), "the token is forged, or its key was withdrawn"};
}

}  // namespace fleet::oidc
