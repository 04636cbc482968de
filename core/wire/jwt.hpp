#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Identity tokens of CI systems (OpenID Connect Core 1.0, 2) and the keys they are signed with, decoded, nothing verified.
namespace fleet::wire {

inline constexpr std::size_t kJwtBytesMax = 16 * 1024;
inline constexpr std::size_t kJwksBytesMax = 128 * 1024;

/// A compact JWS (RFC 7515, 7.1) taken apart.
struct Jwt {
  std::string algorithm;    ///< RS256 or ES256; no other is decoded
  std::string key_id;       ///< never empty
  std::string signed_part;  ///< header and payload as they were received: what the signature covers
  Bytes signature;
  std::string payload;  ///< JSON; to be believed once the signature was verified
};
/// Takes RS256 and ES256 with a `kid`. Refused by name: `none` and every other algorithm, keys that the token brings along (jwk, jku, x5u, x5c),
/// extensions (crit), another type than JWT. @errors bad_input (codes `bad_jwt`, `jwt_algorithm`, `jwt_embedded_key`), too_large
[[nodiscard]] Result<Jwt> decode_jwt(std::string_view text);

/// What a payload claims.
struct IdClaims {
  std::string issuer, subject;
  std::vector<std::string> audiences;
  SysTime issued_at{}, expires_at{};
  std::optional<SysTime> not_before;
  std::map<std::string, std::string, std::less<>> texts;  ///< every claim that is a text
};
/// @errors bad_input (code `bad_jwt`): iss, sub, aud, iat and exp are required
[[nodiscard]] Result<IdClaims> decode_id_claims(std::string_view payload);

/// One key of a set (RFC 7517), of a kind that we know.
struct Jwk {
  std::string key_id;
  std::string kty;           ///< RSA or EC
  std::string algorithm;     ///< may be empty
  Bytes modulus, exponent;   ///< RSA
  Bytes x, y;                ///< EC, P-256
};
/// Keys for signatures, at most 64; those of other kinds, curves and uses are left out. @errors bad_input (code `bad_jwks`: two keys with one id), too_large
[[nodiscard]] Result<std::vector<Jwk>> decode_jwks(std::string_view text);

struct Discovery {
  std::string issuer, jwks_uri;
};
/// OpenID Connect Discovery 1.0, 4.2. @errors bad_input, too_large
[[nodiscard]] Result<Discovery> decode_discovery(std::string_view text);

}  // namespace fleet::wire
