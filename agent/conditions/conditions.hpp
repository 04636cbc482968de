#pragma once

#include "agent/context.hpp"
#include "core/wire/device.hpp"

#include <string>

namespace fleet::agent {

/// Why a download or a switch may not start now: `window`, `battery`, `metered`; empty: it may. Read anew at each question.
/// @param bytes  what the download would fetch at most
[[nodiscard]] std::string download_blocked(Context const& context, wire::DirectiveTarget const& target, std::uint64_t bytes);
[[nodiscard]] std::string switch_blocked(Context const& context, wire::DirectiveTarget const& target);

}  // namespace fleet::agent
