#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Shares and percentages as people write them.
namespace fleet::rollout {

/// A hundredth of a device of the largest fleet: smaller shares are mistakes, and their texts long.
inline constexpr double kShareMin = 1e-10;

/// `12.5%` or `12.5 %` as 12.5; nothing for what is no finite number with the sign.
[[nodiscard]] std::optional<double> parse_percent(std::string_view text);
/// `12.5%` as the double next to .125: the decimal point moves, nothing is divided, so that share_text is undone to the bit.
[[nodiscard]] std::optional<double> parse_share(std::string_view text);
/// A number as it is kept: 12 significant digits. Boost.JSON 1.81 reads such numbers to the bit, and of longer ones some that are off by one.
/// So for 0 and from kNumberMin to 1e15 in size.
[[nodiscard]] double kept(double value);
inline constexpr double kNumberMin = 1e-10;
/// 12.5 as `12.5%`, in the shortest digits that are read back to the same.
[[nodiscard]] std::string percent_sign_text(double percent);
/// .125 as `12.5%`, in the shortest digits that parse_share reads back to the same. Pre: 0 <= share, finite.
[[nodiscard]] std::string share_text(double share);

}  // namespace fleet::rollout
