#pragma once

#include "core/base/random.hpp"
#include "server/access/actor.hpp"
#include "server/store/store.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Tokens for people and CI: only a hash is kept; the secret is in the answer that made it. A name belongs to one live token, because the audit
/// log and approvals know people by it; tokens made for a `user` are that one identity instead, so that nobody approves with one what was published
/// with the other.
namespace fleet::access {

/// Who holds a bearer token. Looked up at every request, so that a revocation bites at the next one.
/// @param authorization  value of the header
/// @errors unauthenticated (codes no_token, unknown_token, token_revoked, token_expired)
[[nodiscard]] Result<Actor> identify_token(db::Connection& reader, std::string_view authorization, SysTime now);

struct NewToken {
  std::string id, name, role;
  std::string model, selector;  ///< limits; empty: none
  std::string identity;         ///< empty: the token's own
  std::string bound_role;       ///< that it was exchanged for; empty: none
  Millis expires_in;
};
struct GivenToken {
  boost::json::object token;  ///< as the API shows it, without its secret
  std::string secret;
};
/// Makes a token; the caller has checked what it asks for, and audits. @errors conflict (`token_exists`: a live one has the name), throttled (`too_many_tokens`: its
/// bound role has a thousand that live)
[[nodiscard]] Result<GivenToken> add_token(store::Tx& tx, Random& random, NewToken const& wanted, std::string const& created_by, SysTime now);
/// As the API shows it. @errors not_found (`unknown_token`)
[[nodiscard]] Result<boost::json::object> load_token(db::Connection& reader, std::string_view id);
/// By id, after `after`, at most `limit`.
[[nodiscard]] Result<std::vector<boost::json::object>> list_tokens(db::Connection& reader, std::string_view after, int limit);
/// A token that is revoked already stays as it is.
[[nodiscard]] Result<void> revoke_token(store::Tx& tx, std::string_view id, SysTime now);

}  // namespace fleet::access
