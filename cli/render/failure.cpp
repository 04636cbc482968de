#include "cli/render/failure.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <string_view>

namespace fleet::render {
namespace {

constexpr std::size_t kOutputLines = 5;

/// The last lines of a text that are not empty.
std::vector<std::string_view> last_lines(std::string_view text, std::size_t most) {
  std::vector<std::string_view> out;
  while (!text.empty() && out.size() < most) {
    auto const end = text.rfind('\n');
    auto const line = end == std::string_view::npos ? text : text.substr(end + 1);
    if (!line.empty() && line != "\r") out.push_back(line);
    text = end == std::string_view::npos ? std::string_view() : text.substr(0, end);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<std::string> failure_lines(boost::json::value const& item) {
  auto const code = text_at(item, "error.code");
  if (code.empty()) return {};
  auto const name = text_at(item, "device"), outcome = text_at(item, "outcome"), text = text_at(item, "error.text");
  auto head = (name.empty() ? text_at(item, "version") : name) + " " + (outcome.empty() ? text_at(item, "state") : outcome) + ": " + code;
  if (!text.empty()) head += ": " + text;
  std::vector<std::string> out{safe_text(head)};
  auto const output = text_at(item, "error.output");
  for (auto const line : last_lines(output, kOutputLines)) out.push_back("  | " + safe_text(std::string(line)));
  return out;
}

}  // namespace fleet::render
