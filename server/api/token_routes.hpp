#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

// Tokens (access/tokens.hpp). The secret is in the answer of `create_token`, and nowhere else.
[[nodiscard]] Result<Reply> list_tokens(Services& services, Call const& call, db::Connection& reader);
[[nodiscard]] Result<Reply> create_token(Services& services, Call const& call, store::Tx& tx);
[[nodiscard]] Result<Reply> delete_token(Services& services, Call const& call, store::Tx& tx);

}  // namespace fleet::api
