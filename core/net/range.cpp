#include "core/net/range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace fleet::net {

Result<std::optional<Range>> read_range(std::string_view header, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit) || header.find(',') != std::string_view::npos) return std::optional<Range>();
  header.remove_prefix(kUnit.size());
  auto const dash = header.find('-');
  if (dash == std::string_view::npos) return std::optional<Range>();
  auto const number = [](std::string_view text, std::uint64_t& out) {
    auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
    return !text.empty() && fault == std::errc{} && end == text.data() + text.size();
  };
  std::uint64_t first = 0, last = size == 0 ? 0 : size - 1;
  auto const from = header.substr(0, dash), to = header.substr(dash + 1);
  if (from.empty()) {
    std::uint64_t tail = 0;
    if (!number(to, tail)) return std::optional<Range>();
    first = tail >= size ? 0 : size - tail;
    if (tail == 0) first = size;
  } else {
    std::uint64_t asked = std::numeric_limits<std::uint64_t>::max();
    if (!number(from, first) || (!to.empty() && !number(to, asked)) || asked < first) return std::optional<Range>();
    last = std::min(last, asked);
  }
  if (first >= size) return Error{Kind::bad_input, "range", fmt::format("the range starts at {}, the blob has {} bytes", first, size)};
  return std::optional(Range{first, last});
}

}  // namespace fleet::net
