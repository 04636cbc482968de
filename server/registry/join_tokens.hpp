#pragma once

#include "server/registry/devices.hpp"

#include "core/base/random.hpp"

#include <string>
#include <vector>

namespace fleet::registry {

/// What join tokens are asked for: how many, until when, and what they bind a device to.
struct JoinTokenSpec {
  int count = 1;
  Millis expires_in = std::chrono::hours(24);
  std::string device_id;  ///< empty: any; binding one is for a single token
  std::string hardware;   ///< empty: as the device says
  wire::Labels labels;
};
/// Decodes and checks the body of POST /device-tokens. @errors bad_input
[[nodiscard]] Result<JoinTokenSpec> decode_join_token_spec(std::string_view body);

struct JoinTokenSecret {
  std::string id;
  std::string secret;  ///< `fle_...`, shown once; only its hash is kept
  SysTime expires_at{};
};
[[nodiscard]] Result<std::vector<JoinTokenSecret>> add_join_tokens(store::Tx& tx, Random& random, JoinTokenSpec const& spec, Cause const& cause);
/// The token as the API shows it; with its secret only in the answer that made it.
[[nodiscard]] std::string join_token_json(JoinTokenSecret const& token, JoinTokenSpec const& spec, Cause const& cause, bool with_secret);
/// @param made_by  only those of this actor; empty: all
[[nodiscard]] Result<DevicePage> list_join_tokens(db::Connection& connection, std::string_view made_by, std::string_view after, int limit);
/// @param own_only  refuse those that somebody else made @errors not_found (code `unknown_join_token`), forbidden (code `out_of_scope`)
[[nodiscard]] Result<void> revoke_join_token(store::Tx& tx, std::string_view id, bool own_only, Cause const& cause);

/// `prefix` and 256 random bits, base64url: for tokens of people and devices.
[[nodiscard]] std::string make_secret(std::string_view prefix, Random& random);

}  // namespace fleet::registry
