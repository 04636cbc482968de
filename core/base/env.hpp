#pragma once

#include <optional>
#include <string>

namespace fleet {

/// A variable of the process's environment; nothing when it is not set. The one place that reads it.
[[nodiscard]] std::optional<std::string> environment(std::string const& name);

}  // namespace fleet
