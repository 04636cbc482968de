#pragma once

#include "server/simulation/virtual_fleet.hpp"

#include <string>
#include <string_view>

namespace fleet::simulation {

/// One run as an SVG of two panels over hours: devices (switched, bad), and each harm gate's evidence as log10(e-value / threshold), which trips at 0.
/// @param title  plain text
[[nodiscard]] std::string draw_plot(Outcome const& outcome, std::string_view title);

}  // namespace fleet::simulation
