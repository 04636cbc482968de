#include "core/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

struct Range {
  char32_t first, last;
};
// What reorders, hides or breaks lines (Unicode UAX 9, general categories Zl, Zp, Cf without the joiners of scripts and emoji).
constexpr auto kTurning = std::to_array<Range>(
    {{0x061C, 0x061C}, {0x180E, 0x180E}, {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}});

bool turns(char32_t c) {
  return std::any_of(kTurning.begin(), kTurning.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}
bool controls(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

/// `replace(character, bytes, out)` writes what stands for each.
template <class F>
std::string rewritten(std::string_view text, F const& replace) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    auto const c = next_character(text);
    replace(c, text.substr(0, c.bytes), out);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string made_safe(std::string_view text, bool keep_lines) {
  return rewritten(text, [keep_lines](Character c, std::string_view bytes, std::string& out) {
    if (!c.valid) out += kReplacement;
    else if (c.code == '\n' && keep_lines) out += '\n';
    else if (c.code == '\n' || c.code == '\t' || c.code == '\r') out += keep_lines && c.code == '\r' ? "" : " ";
    else if (controls(c.code)) out += "·";
    else if (!turns(c.code)) out += bytes;
  });
}

}  // namespace

Character next_character(std::string_view text) {
  auto const lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t const length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {lead, 1, false};
  char32_t code = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    auto const byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0U) != 0x80U) return {lead, 1, false};
    code = (code << 6U) | (byte & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast.at(length) || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {lead, 1, false};
  return {code, length, true};
}

std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  constexpr std::size_t kBackMax = 3;
  auto end = bytes_max;
  for (std::size_t back = 0; back < kBackMax && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U; ++back) --end;
  return text.substr(0, end);
}

std::string valid_text(std::string_view text) {
  return rewritten(text, [](Character c, std::string_view bytes, std::string& out) { out += c.valid ? bytes : kReplacement; });
}

std::string safe_text(std::string_view text) { return made_safe(text, false); }
std::string safe_lines(std::string_view text) { return made_safe(text, true); }

std::string safe_json(std::string_view json) {
  return rewritten(json, [](Character c, std::string_view bytes, std::string& out) {
    bool const layout = c.code == '\n' || c.code == '\t' || c.code == '\r';
    if (!c.valid) out += kReplacement;
    else if (layout || !(controls(c.code) || turns(c.code))) out += bytes;
    else if (c.code < 0x10000) out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c.code));
    else
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + ((static_cast<std::uint32_t>(c.code) - 0x10000U) >> 10U),
                         0xDC00U + (static_cast<std::uint32_t>(c.code) & 0x3FFU));
  });
}

}  // namespace fleet
