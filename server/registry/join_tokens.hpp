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
  std::optional<std::string> cache;  ///< JSON: it lets in a cache of these models, none: of all
};
/// Decodes and checks the body of POST /device-tokens. @errors bad_input
[[nodiscard]] Result<JoinTokenSpec> decode_join_token_spec(std::string_view body);
/// What a device that joins by it will be, as far as that is bound; of the rest it may be anything.
[[nodiscard]] Selector bound_by(JoinTokenSpec const& spec);

struct JoinTokenSecret {
  std::string id;
  std::string secret;  ///< `fle_...`, shown once; only its hash is kept
  SysTime expires_at{};
};
/// @param limits  of the maker: the tokens let in nothing beyond, however it is labelled by then
[[nodiscard]] Result<std::vector<JoinTokenSecret>> add_join_tokens(store::Tx& tx, Random& random, JoinTokenSpec const& spec, Limits const& limits,
                                                                   events::Deed const& deed);
/// The token as the API shows it; with its secret only in the answer that made it.
[[nodiscard]] std::string join_token_json(JoinTokenSecret const& token, JoinTokenSpec const& spec, events::Deed const& deed, bool with_secret);
/// All of them; for an actor with limits those that it made.
[[nodiscard]] Result<DevicePage> list_join_tokens(db::Connection& connection, Limits const& limits, std::string_view actor, std::string_view after, int limit);
/// Who made it; nothing where there is none.
[[nodiscard]] Result<std::optional<std::string>> maker_of_join_token(db::Connection& connection, std::string_view id);
/// @errors not_found (code `unknown_join_token`)
[[nodiscard]] Result<void> revoke_join_token(store::Tx& tx, std::string_view id, events::Deed const& deed);

/// `prefix` and 256 random bits, base64url: for tokens of people and devices.
[[nodiscard]] std::string make_secret(std::string_view prefix, Random& random);

}  // namespace fleet::registry
