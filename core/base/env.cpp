#include "core/base/env.hpp"

#include <cstdlib>

namespace fleet {

std::optional<std::string> environment(std::string const& name) {
  char const* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace fleet
