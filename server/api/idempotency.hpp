#pragma once

#include "server/api/route.hpp"

#include <optional>

namespace fleet::api {

/// One use of an Idempotency-Key: by whom, and for which request.
struct IdempotentUse {
  std::string actor;
  std::string key;
  Digest request;
};

/// The use that a request makes; nothing where it sends no key, is no POST, comes from nobody known, or goes to a route that changes nothing: who may only
/// read leaves nothing behind. @errors bad_input
[[nodiscard]] Result<std::optional<IdempotentUse>> read_idempotency(Route const& route, Call const& call);
/// The answer that was kept for this use within 24 hours. @errors conflict (code `idempotency_key_reused`: another request)
[[nodiscard]] Result<std::optional<net::Response>> find_replay(db::Connection& connection, IdempotentUse const& use, Call const& call);
/// Keeps a success for repeats; failures changed nothing and are judged anew. What is older than 24 hours is dropped by retention.
/// @param body  what a repeat gets
[[nodiscard]] Result<void> keep_replay(store::Tx& tx, IdempotentUse const& use, net::Response const& response, std::string_view body, SysTime now);

}  // namespace fleet::api
