#pragma once

#include "core/base/text.hpp"
#include "core/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Words and numbers as people read them. Pure.
namespace fleet::render {

/// Columns that a terminal gives to UTF-8 text: 2 for East Asian wide characters and emoji, 0 for combining marks.
/// A byte that is not UTF-8 counts as one column.
[[nodiscard]] std::size_t display_width(std::string_view text);
/// `text` in at most `width` columns, cut with `…` where it is longer. Never cuts within a character.
[[nodiscard]] std::string clip(std::string_view text, std::size_t width);
/// `text` and spaces up to `width` columns.
[[nodiscard]] std::string pad(std::string_view text, std::size_t width, bool right = false);
using fleet::safe_lines;
using fleet::safe_text;

/// `12s`, `5m`, `3h`, `2d`: the largest unit, rounded down; never negative.
[[nodiscard]] std::string short_span(Millis span);
/// `5m ago`, `in 3h`, `now`.
[[nodiscard]] std::string relative(SysTime at, SysTime now);
/// `9.6 KiB`, `812 B`.
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace fleet::render
