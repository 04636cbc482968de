#include "cli/render/screen.hpp"

#include "cli/render/text.hpp"

#include <algorithm>

namespace fleet::render {
namespace {

std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') i = std::min(text.find('m', i), text.size());
    else out += text[i];
  }
  return out;
}

}  // namespace

std::string Screen::redraw(std::vector<std::string> const& lines, Window window) {
  auto const columns = std::max<std::size_t>(1, window.width);
  std::size_t rows = 0;
  for (auto const width : widths_) rows += std::max<std::size_t>(1, (width + columns - 1) / columns);
  rows = std::min(rows, window.height > 1 ? window.height - 1 : 1);  // the cursor cannot go above the window
  std::string out = widths_.empty() ? "" : "\x1b[" + std::to_string(rows) + "F\x1b[J";
  widths_.clear();
  for (auto const& line : lines) {
    widths_.push_back(display_width(without_escapes(line)));
    out += line + '\n';
  }
  return out;
}

}  // namespace fleet::render
