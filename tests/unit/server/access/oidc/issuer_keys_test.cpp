#include "server/access/oidc/issuer_keys.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace std::chrono_literals;

namespace {

/// An issuer of strings, and how often it was asked.
struct Issuer {
  std::string const name = "https://idp.test";
  std::string discovery = R"({"issuer":"https://idp.test","jwks_uri":"https://keys.test/all"})";
  std::string keys =
      R"({"keys":[{"kid":"ec","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";
  bool down = false;
  std::vector<std::string> asked;
  MonoTime now{1h};
  oidc::IssuerKeys store{[this](std::string const& url, std::string const& ca) -> Result<std::string> {
    asked.push_back(url + " " + ca);
    if (down) return Error{Kind::unavailable, "down", "refused"};
    return url.ends_with("/.well-known/openid-configuration") ? discovery : keys;
  }};

  std::string find(std::string const& key_id, std::string const& algorithm = "ES256", std::string const& ca = "ca") {
    wire::Jwt token;
    token.key_id = key_id;
    token.algorithm = algorithm;
    auto const found = store.find(name, ca, token, now);
    return found ? std::string(found->algorithm()) : found.error().code;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Issuer, "keys are fetched by discovery once, and remembered for ten minutes") {
  CHECK(find("ec") == "ES256");
  CHECK(asked == std::vector<std::string>{"https://idp.test/.well-known/openid-configuration ca", "https://keys.test/all ca"});
  now += 10min - 1ms;
  CHECK(find("ec") == "ES256");
  CHECK(asked.size() == 2);
  now += 1ms;
  CHECK(find("ec") == "ES256");
  CHECK(asked.size() == 4);
  CHECK_MESSAGE(find("ec", "ES256", "another ca") == "ES256", "what one CA vouched for is nothing to a role with another");
  CHECK(asked.size() == 6);
}

TEST_CASE_FIXTURE(Issuer, "unknown keys make it look again at most once a minute") {
  CHECK(find("ec") == "ES256");
  for (int i = 0; i < 100; ++i) CHECK(find("k" + std::to_string(i)) == "oidc_unknown_key");
  CHECK(asked.size() == 2);
  now += 1min;
  for (int i = 0; i < 100; ++i) CHECK(find("k" + std::to_string(i)) == "oidc_unknown_key");
  CHECK(asked.size() == 4);
  CHECK(find("ec") == "ES256");
}

TEST_CASE_FIXTURE(Issuer, "the key says what it signs, not the token") {
  CHECK(find("ec", "RS256") == "oidc_unknown_key");
  keys.insert(keys.find("\"kid\""), R"("alg":"ES384",)");
  now += 10min;
  CHECK(find("ec") == "oidc_unknown_key");
}

TEST_CASE_FIXTURE(Issuer, "an issuer that is down, lies or talks nonsense is not trusted, and not asked again at once") {
  down = true;
  CHECK(find("ec") == "issuer_unavailable");
  CHECK(find("ec") == "issuer_unavailable");
  CHECK(asked.size() == 1);
  down = false;
  for (auto const* const answer : {R"({"issuer":"https://evil.test","jwks_uri":"https://keys.test/all"})", R"({"issuer":"https://idp.test/","jwks_uri":"https://x"})",
                                   R"({"issuer":"https://idp.test","jwks_uri":"http://keys.test/all"})", R"({"issuer":"https://idp.test","jwks_uri":"file:///etc/passwd"})", "{}", ""}) {
    CAPTURE(answer);
    now += 1min;
    discovery = answer;
    auto const before = asked.size();
    CHECK(find("ec") == "issuer_unavailable");
    CHECK(asked.size() == before + 1);
  }
}

TEST_CASE_FIXTURE(Issuer, "keys outlive an issuer that goes down while they are good, and no longer") {
  CHECK(find("ec") == "ES256");
  down = true;
  now += 5min;
  CHECK(find("other") == "issuer_unavailable");
  CHECK(find("ec") == "ES256");
  now += 5min;
  CHECK(find("ec") == "issuer_unavailable");
}
