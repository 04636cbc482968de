#pragma once

#include "cli/render/rollout.hpp"

#include <string>
#include <vector>

namespace fleet::render {

/// Redraws a block of lines in place on a terminal, without taking the whole window: what was above stays. Pure: gives the bytes.
class Screen {
public:
  /// Bytes that replace the last block by `lines`; also right when the window became narrower in between and the terminal wrapped
  /// the old lines.
  [[nodiscard]] std::string redraw(std::vector<std::string> const& lines, Window window);

private:
  std::vector<std::size_t> widths_;  ///< columns of each line of the last block
};

}  // namespace fleet::render
