#pragma once

#include "server/store/store.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Answers kept for repeats of one request (Idempotency-Key).
namespace fleet::access {

struct Replay {
  Digest request;
  int status = 0;
  std::string headers, body;
};
/// @param since  what is older is none
[[nodiscard]] Result<std::optional<Replay>> find_replay(db::Connection& reader, std::string_view actor, std::string_view key, SysTime since);
[[nodiscard]] Result<void> keep_replay(store::Tx& tx, std::string_view actor, std::string_view key, Replay const& replay, SysTime now);

/// Of several servers one at a time is at a use. @param lives  whether a node still runs: what one that ended was at is anybody's
/// @returns whether this one may begin
[[nodiscard]] Result<bool> begin_use(store::Tx& tx, std::string_view actor, std::string_view key, std::string_view node, std::function<bool(std::string_view)> const& lives, SysTime now);
[[nodiscard]] Result<void> end_use(store::Tx& tx, std::string_view actor, std::string_view key, std::string_view node);

}  // namespace fleet::access
