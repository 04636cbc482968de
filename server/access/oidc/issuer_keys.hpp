#pragma once

#include "core/crypto/jws.hpp"
#include "core/net/client.hpp"
#include "core/wire/jwt.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fleet::oidc {

/// GET of a URL over TLS that `ca_pem` vouches for. @errors as net::Client::send, and unavailable for any status but 200
using Fetch = std::function<Result<std::string>(std::string const& url, std::string const& ca_pem)>;
/// By net::Client: 5 s for each document, at most kJwksBytesMax, no redirects, https alone.
[[nodiscard]] Fetch fetch_over_tls(Clock& clock);

/// The keys of issuers, by their discovery document, remembered for ten minutes. A key that is not known makes it look again, at most once a minute
/// an issuer, whoever asks: tokens of strangers cannot make it call out more. Thread-safe; `find` may block for the fetch.
class IssuerKeys {
public:
  explicit IssuerKeys(Fetch fetch) : fetch_(std::move(fetch)) {}
  /// The key that verifies the token. @param issuer  a trusted one, never taken from the token
  /// @errors unauthenticated (code `oidc_unknown_key`), unavailable (codes `issuer_unavailable`; `issuer_busy`: another request fetches them)
  [[nodiscard]] Result<crypto::JwsKey> find(std::string const& issuer, std::string const& ca_pem, wire::Jwt const& token, MonoTime now);

private:
  struct Kept {
    std::vector<wire::Jwk> keys;
    std::optional<MonoTime> good_until;  ///< empty: none were fetched
    std::optional<MonoTime> tried;
    bool fetching = false;
  };
  [[nodiscard]] Result<std::vector<wire::Jwk>> fetch_keys(std::string const& issuer, std::string const& ca_pem) const;

  Fetch fetch_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Kept> kept_;  ///< by issuer and CA
};

}  // namespace fleet::oidc
