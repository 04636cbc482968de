#include "core/wire/jwt.hpp"

#include <doctest/doctest.h>

using namespace fleet;

namespace {

std::string jwt(std::string_view header, std::string_view payload = "{}") {
  return to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(payload)) + ".AAAA";
}
template <class T>
std::string code_of(Result<T> const& got) {
  return got ? "fine" : got.error().code;
}

}  // namespace

TEST_CASE("a token is taken apart, or refused by name") {
  auto const good = wire::decode_jwt(jwt(R"({"alg":"ES256","kid":"k","typ":"JWT"})", R"({"a":1})"));
  REQUIRE(good.has_value());
  CHECK(good->algorithm == "ES256");
  CHECK(good->key_id == "k");
  CHECK(good->payload == R"({"a":1})");
  CHECK(good->signed_part + ".AAAA" == jwt(R"({"alg":"ES256","kid":"k","typ":"JWT"})", R"({"a":1})"));
  struct Case {
    std::string text, code;
  };
  std::vector<Case> cases{
      {"", "bad_jwt"},
      {"a.b", "bad_jwt"},
      {"a.b.c.d", "bad_jwt"},
      {"..", "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":"k"})") + "=", "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":"k"})").insert(3, " "), "bad_jwt"},
      {std::string(wire::kJwtBytesMax + 1, 'a'), "too_large"},
      {jwt("[]"), "bad_jwt"},
      {jwt(R"({"alg":"RS256"})"), "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":""})"), "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":7})"), "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":"k","typ":"at+jwt"})"), "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":"k","typ":1})"), "bad_jwt"},
      {jwt(R"({"alg":"RS256","kid":"k","crit":[]})"), "bad_jwt"},
  };
  for (auto const* const algorithm : {"none", "None", "HS256", "rs256", "RS512", "PS256", "ES384", "EdDSA", ""})
    cases.push_back({jwt(std::string(R"({"kid":"k","alg":")") + algorithm + "\"}"), "jwt_algorithm"});
  cases.push_back({jwt(R"({"kid":"k"})"), "jwt_algorithm"});
  cases.push_back({jwt(R"({"kid":"k","alg":["RS256"]})"), "jwt_algorithm"});
  for (auto const* const key : {"jwk", "jku", "x5u", "x5c"})
    cases.push_back({jwt(std::string(R"({"alg":"RS256","kid":"k",")") + key + R"(":null})"), "jwt_embedded_key"});
  for (auto const& [text, code] : cases) {
    CAPTURE(text.substr(0, 100));
    CHECK(code_of(wire::decode_jwt(text)) == code);
  }
  CHECK_FALSE(wire::decode_jwt(jwt(R"({"alg":"RS256","alg":"none","kid":"k"})")).has_value());
}

TEST_CASE("claims are read by type") {
  auto const claims = wire::decode_id_claims(R"({"iss":"i","sub":"s","aud":["a","b"],"iat":10,"exp":20.9,"nbf":5,"ref":"r","n":1})");
  REQUIRE(claims.has_value());
  CHECK(claims->audiences == std::vector<std::string>{"a", "b"});
  CHECK(claims->issued_at == from_unix_ms(10'000));
  CHECK(claims->expires_at == from_unix_ms(20'000));
  CHECK(claims->not_before == from_unix_ms(5'000));
  CHECK(claims->texts.at("ref") == "r");
  CHECK_FALSE(claims->texts.contains("n"));
  for (auto const* const text : {"[]", "{}", R"({"iss":"i","sub":"s","aud":"a","iat":1})", R"({"iss":"i","sub":"s","aud":"a","iat":1,"exp":"2"})",
                                 R"({"iss":"i","sub":"s","aud":7,"iat":1,"exp":2})", R"({"iss":"i","sub":"s","aud":["a",7],"iat":1,"exp":2})",
                                 R"({"iss":7,"sub":"s","aud":"a","iat":1,"exp":2})", R"({"iss":"i","sub":"","aud":"a","iat":1,"exp":2})",
                                 R"({"iss":"i","sub":"s","aud":"a","iat":1,"exp":1e300})", R"({"iss":"i","sub":"s","aud":"a","iat":-1,"exp":2})",
                                 R"({"iss":"i","sub":"s","aud":"a","iat":1,"exp":2,"nbf":"x"})"}) {
    CAPTURE(text);
    CHECK_FALSE(wire::decode_id_claims(text).has_value());
  }
}

TEST_CASE("key sets keep what signs, and no two keys of one id") {
  auto const keys = wire::decode_jwks(
      R"({"keys":[{"kid":"1","kty":"RSA","n":"AQ","e":"AQAB"},{"kid":"2","kty":"EC","crv":"P-256","x":"AQ","y":"AQ","use":"sig"},{"kty":"RSA","n":"AQ","e":"AQAB"},
                 {"kid":"3","kty":"oct","k":"AQ"},{"kid":"4","kty":"EC","crv":"P-384","x":"AQ","y":"AQ"},{"kid":"5","kty":"RSA","n":"AQ","e":"AQAB","use":"enc"},7,
                 {"kid":"6","kty":"RSA","n":"AQ","e":"AQAB","key_ops":["sign","verify"]},{"kid":"7","kty":"RSA","n":"AQ","e":"AQAB","key_ops":["encrypt"]},
                 {"kid":"8","kty":"RSA","n":"AQ","e":"AQAB","key_ops":"verify"}]})");
  REQUIRE(keys.has_value());
  REQUIRE(keys->size() == 3);
  CHECK((*keys)[0].key_id == "1");
  CHECK((*keys)[1].key_id == "2");
  CHECK((*keys)[2].key_id == "6");
  CHECK(code_of(wire::decode_jwks(R"({"keys":[{"kid":"1","kty":"RSA","n":"AQ","e":"AQAB"},{"kid":"1","kty":"RSA","n":"Ag","e":"AQAB"}]})")) == "bad_jwks");
  CHECK(code_of(wire::decode_jwks("{}")) == "bad_jwks");
  CHECK(code_of(wire::decode_jwks("[]")) == "bad_jwks");
  std::string many;
  for (int i = 0; i < 65; ++i) many += i ? ",1" : "1";
  CHECK(code_of(wire::decode_jwks("{\"keys\":[" + many + "]}")) == "bad_jwks");
  CHECK(code_of(wire::decode_discovery(R"({"issuer":"i"})")) == "bad_discovery");
  CHECK(wire::decode_discovery(R"({"issuer":"i","jwks_uri":"u","more":1})")->jwks_uri == "u");
}
