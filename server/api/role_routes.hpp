#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// Roles: the five that tokens have, and bound roles, by which CI systems get short-lived tokens for identity tokens of their own (OpenID Connect).
/// A bound role never changes; when it goes, the tokens it gave go with it.
[[nodiscard]] Result<Reply> list_roles(Services& services, Call const& call, db::Connection& reader);
[[nodiscard]] Result<Reply> get_role(Services& services, Call const& call, db::Connection& reader);
[[nodiscard]] Result<Reply> create_role(Services& services, Call const& call, store::Tx& tx);
[[nodiscard]] Result<Reply> delete_role(Services& services, Call const& call, store::Tx& tx);
/// An identity token for a token of the bound role that the request names. Asks for no other credential; may fetch the issuer's keys.
[[nodiscard]] Result<Reply> exchange_token(Services& services, Call const& call);

inline constexpr std::uint64_t kExchangeBytesMax = 32 * 1024;

}  // namespace fleet::api
