#include "core/wire/jwt.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kTextMax = 2'048;
constexpr std::size_t kKeysMax = 64;
constexpr std::size_t kAudiencesMax = 16;
constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the end of the year 9999
constexpr auto kAlgorithms = std::to_array<std::string_view>({"RS256", "ES256"});
constexpr auto kEmbeddedKeys = std::to_array<std::string_view>({"jwk", "jku", "x5u", "x5c"});

Error bad_jwt(std::string detail) { return {Kind::bad_input, "bad_jwt", std::move(detail), "send the identity token as the CI system gave it"}; }

std::string_view text_at(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

Result<std::string> decode_part(std::string_view part, std::string_view name) {
  auto const bytes = from_base64url(part);
  if (!bytes || bytes->empty()) return bad_jwt(fmt::format("the {} is not base64url", name));
  return std::string(as_text(*bytes));
}

Result<void> check_header(json::object const& header) {
  for (auto const key : kEmbeddedKeys)
    if (header.contains(key))
      return Error{Kind::bad_input, "jwt_embedded_key", fmt::format("the token brings a key along ('{}')", key), "keys come from the issuer alone"};
  if (header.contains("crit")) return bad_jwt("the token asks for extensions ('crit') that are not known here");
  auto const algorithm = text_at(header, "alg");
  if (std::find(kAlgorithms.begin(), kAlgorithms.end(), algorithm) == kAlgorithms.end())
    return Error{Kind::bad_input, "jwt_algorithm", fmt::format("algorithm '{}', expected RS256 or ES256", algorithm.substr(0, 40)),
                 "the issuer must sign with one of these"};
  auto const type = text_at(header, "typ");
  if (header.contains("typ") && type != "JWT" && type != "jwt") return bad_jwt(fmt::format("type '{}', expected JWT", type.substr(0, 40)));
  auto const id = text_at(header, "kid");
  if (id.empty() || id.size() > 256) return bad_jwt("the header names no key ('kid')");
  return {};
}

/// A NumericDate (RFC 7519, 2): seconds, perhaps with a fraction.
std::optional<SysTime> time_at(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  auto const seconds = value->to_number<double>();
  if (!(seconds >= 0) || seconds > static_cast<double>(kSecondsMax)) return std::nullopt;
  return from_unix_ms(static_cast<std::int64_t>(std::floor(seconds)) * 1'000);
}

/// One text or a list of texts; nothing for anything else.
std::vector<std::string> audiences_of(json::object const& claims) {
  auto const* const value = claims.if_contains("aud");
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(value->get_string())};
  std::vector<std::string> out;
  auto const* const list = value->if_array();
  if (list == nullptr || list->size() > kAudiencesMax) return {};
  for (auto const& one : *list) {
    if (!one.is_string()) return {};
    out.emplace_back(one.get_string());
  }
  return out;
}

/// RFC 7517, 4.2 and 4.3: what the key's owner says that it is for.
bool may_verify(json::object const& key) {
  if (key.contains("use") && text_at(key, "use") != "sig") return false;
  auto const* const operations = key.if_contains("key_ops");
  auto const* const list = operations == nullptr ? nullptr : operations->if_array();
  return operations == nullptr || (list != nullptr && std::find(list->begin(), list->end(), json::value("verify")) != list->end());
}

/// The key, where it is one that signs with an algorithm known here.
std::optional<Jwk> read_key(json::value const& value) {
  auto const* const object = value.if_object();
  if (object == nullptr) return std::nullopt;
  Jwk out{std::string(text_at(*object, "kid")), std::string(text_at(*object, "kty")), std::string(text_at(*object, "alg")), {}, {}, {}, {}};
  if (out.key_id.empty() || !may_verify(*object)) return std::nullopt;
  auto const part = [&](std::string_view name, Bytes& into) {
    auto bytes = from_base64url(text_at(*object, name));
    if (bytes) into = std::move(*bytes);
    return !into.empty();
  };
  if (out.kty == "RSA" && part("n", out.modulus) && part("e", out.exponent)) return out;
  if (out.kty == "EC" && text_at(*object, "crv") == "P-256" && part("x", out.x) && part("y", out.y)) return out;
  return std::nullopt;
}

}  // namespace

Result<Jwt> decode_jwt(std::string_view text) {
  if (text.size() > kJwtBytesMax)
    return Error{Kind::too_large, "too_large", fmt::format("an identity token of {} bytes, at most {} are taken", text.size(), kJwtBytesMax)};
  auto const first = text.find('.'), last = text.rfind('.');
  if (first == std::string_view::npos || first == last || text.find('.', first + 1) != last)
    return bad_jwt("expected three parts with dots between: header, payload, signature");
  FLEET_TRY(auto const header_text, decode_part(text.substr(0, first), "header"));
  FLEET_TRY(auto const header, parse_json(header_text, kJwtBytesMax));
  if (!header.is_object()) return bad_jwt("the header is no JSON object");
  FLEET_CHECK(check_header(header.get_object()));
  Jwt out;
  out.algorithm = text_at(header.get_object(), "alg");
  out.key_id = text_at(header.get_object(), "kid");
  out.signed_part = text.substr(0, last);
  FLEET_TRY(out.payload, decode_part(text.substr(first + 1, last - first - 1), "payload"));
  FLEET_TRY(auto const signature, decode_part(text.substr(last + 1), "signature"));
  out.signature.assign(signature.begin(), signature.end());
  return out;
}

Result<IdClaims> decode_id_claims(std::string_view payload) {
  FLEET_TRY(auto const value, parse_json(payload, kJwtBytesMax));
  auto const* const claims = value.if_object();
  if (claims == nullptr) return bad_jwt("the payload is no JSON object");
  IdClaims out;
  for (auto const& member : *claims)
    if (member.value().is_string() && member.value().get_string().size() <= kTextMax) out.texts.emplace(member.key(), member.value().get_string());
  auto const text = [&](std::string_view name) {
    auto const found = out.texts.find(name);
    return found == out.texts.end() ? std::string() : found->second;
  };
  out.issuer = text("iss");
  out.subject = text("sub");
  out.audiences = audiences_of(*claims);
  auto const issued = time_at(*claims, "iat"), expires = time_at(*claims, "exp");
  for (auto const& [name, there] : {std::pair{"iss", !out.issuer.empty()}, std::pair{"sub", !out.subject.empty()}, std::pair{"aud", !out.audiences.empty()},
                                    std::pair{"iat", issued.has_value()}, std::pair{"exp", expires.has_value()}})
    if (!there) return bad_jwt(fmt::format("the claim '{}' is missing, or none", name));
  out.issued_at = *issued;
  out.expires_at = *expires;
  out.not_before = time_at(*claims, "nbf");
  if (claims->contains("nbf") && !out.not_before) return bad_jwt("the claim 'nbf' is no time");
  return out;
}

Result<std::vector<Jwk>> decode_jwks(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kJwksBytesMax));
  auto const* const keys = value.is_object() && value.get_object().contains("keys") ? value.get_object().at("keys").if_array() : nullptr;
  if (keys == nullptr || keys->size() > kKeysMax) return Error{Kind::bad_input, "bad_jwks", fmt::format("expected `keys` with at most {} keys", kKeysMax)};
  std::vector<Jwk> out;
  std::set<std::string> ids;
  for (auto const& one : *keys) {
    auto key = read_key(one);
    if (!key) continue;
    if (!ids.insert(key->key_id).second) return Error{Kind::bad_input, "bad_jwks", fmt::format("two keys have the id '{}'", key->key_id.substr(0, 80))};
    out.push_back(std::move(*key));
  }
  return out;
}

Result<Discovery> decode_discovery(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kJwksBytesMax));
  auto const* const object = value.if_object();
  Discovery out;
  if (object != nullptr) out = {std::string(text_at(*object, "issuer")), std::string(text_at(*object, "jwks_uri"))};
  if (!out.issuer.empty() && !out.jwks_uri.empty()) return out;
  return Error{Kind::bad_input, "bad_discovery", "expected `issuer` and `jwks_uri`"};
}

}  // namespace fleet::wire
