#pragma once

#include "server/store/store.hpp"

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

}  // namespace fleet::access
