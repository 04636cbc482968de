#pragma once

#include <string>

namespace fleet::test {

/// The checkout's folder. One source alone knows it, so that a compiler cache serves every checkout.
[[nodiscard]] std::string const& source_dir();

}  // namespace fleet::test
