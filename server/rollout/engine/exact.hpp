#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::rollout {

/// Numbers as one text, shortest forms that are read back to the last bit. Boost.JSON reads its own numbers back a bit off, and a restarted server
/// must judge exactly as the one before it.
[[nodiscard]] std::string write_exact(std::span<double const> numbers);
/// What is no number ends it.
[[nodiscard]] std::vector<double> read_exact(std::string_view text);

}  // namespace fleet::rollout
