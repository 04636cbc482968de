#pragma once

#include "server/simulation/virtual_fleet.hpp"

#include <algorithm>
#include <array>

/// What virtual_fleet.cpp and virtual_devices.cpp share.
namespace fleet::simulation {

inline constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute;
inline constexpr SysTime kStart = from_unix_ms(1'800'000'000'000);
inline constexpr auto kKinds =
    std::to_array<std::string_view>({rollout::row_kind::kPlain, rollout::row_kind::kGolden, rollout::row_kind::kNoEvidence, rollout::row_kind::kThere});
inline constexpr std::uint8_t kNoOutcome = 255;

[[nodiscard]] inline std::uint8_t index_of(std::string_view state) {
  auto const& names = rollout::device_state::kNames;
  auto const* const found = std::find(names.begin(), names.end(), state);
  return found == names.end() ? kNoOutcome : static_cast<std::uint8_t>(found - names.begin());
}
[[nodiscard]] inline std::string_view name_of(std::uint8_t index) { return index == kNoOutcome ? std::string_view() : rollout::device_state::kNames.at(index); }

[[nodiscard]] inline std::int64_t part(double share, std::int64_t whole) { return static_cast<std::int64_t>(share * static_cast<double>(whole)); }

}  // namespace fleet::simulation
