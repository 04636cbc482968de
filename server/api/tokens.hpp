#pragma once

#include "server/api/route.hpp"

#include <boost/json/object.hpp>

namespace fleet::api {

/// Tokens for people and CI: only a hash is kept; the secret is in the answer that made it. A name belongs to one live token, because the audit
/// log and approvals know people by it; tokens made for a `user` are that one identity instead, so that nobody approves with one what was published
/// with the other.
[[nodiscard]] Result<Reply> list_tokens(Services& services, Call const& call, db::Connection& reader);
[[nodiscard]] Result<Reply> create_token(Services& services, Call const& call, store::Tx& tx);
[[nodiscard]] Result<Reply> delete_token(Services& services, Call const& call, store::Tx& tx);

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
/// Makes a token; the caller has checked what it asks for, and audits.
[[nodiscard]] Result<GivenToken> add_token(store::Tx& tx, Random& random, NewToken const& wanted, std::string const& created_by, SysTime now);

}  // namespace fleet::api
