#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// Tokens for people and CI: only a hash is kept; the secret is in the answer that made it. A name belongs to one live token, because the audit
/// log and approvals know people by it; tokens made for a `user` are that one identity instead, so that nobody approves with one what was published
/// with the other.
[[nodiscard]] Result<Reply> list_tokens(Services& services, Call const& call, db::Connection& reader);
[[nodiscard]] Result<Reply> create_token(Services& services, Call const& call, store::Tx& tx);
[[nodiscard]] Result<Reply> delete_token(Services& services, Call const& call, store::Tx& tx);

}  // namespace fleet::api
