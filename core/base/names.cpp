#include "core/base/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool alnum(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

bool matches(std::string_view name, std::size_t max, bool (*first)(char), bool (*rest)(char)) {
  return !name.empty() && name.size() <= max && first(name[0]) && std::all_of(name.begin(), name.end(), rest);
}

Error refused(std::string_view what, std::string_view name, std::string_view pattern) {
  return {Kind::bad_input, "bad_name", fmt::format("{} '{}' is not allowed", what, name.substr(0, 140)), fmt::format("a {} is {}", what, pattern)};
}

/// The bytes of the character that `text` begins with; 0: it is not UTF-8 (RFC 3629: no overlong form, no surrogate, none above U+10FFFF).
std::size_t character_length(std::string_view text) {
  auto const byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto const first = byte(0);
  if (first < 0x80) return 1;
  std::size_t const length = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  bool const out_of_range = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) ||
                            (first == 0xF4 && byte(1) > 0x8F);
  return out_of_range ? 0 : length;
}

/// What is wrong with the characters of a name; empty: nothing.
std::string_view wrong_characters(std::string_view name) {
  for (std::size_t length = 0; !name.empty(); name.remove_prefix(length)) {
    length = character_length(name);
    auto const first = static_cast<unsigned char>(name[0]);
    bool const control = first < 0x20 || first == 0x7F || (first == 0xC2 && length == 2 && static_cast<unsigned char>(name[1]) < 0xA0);
    if (length == 0) return "the name is not UTF-8";
    if (control) return "a control character (a line break, a tab) in the name";
    if (first == '\\') return "a backslash in the name";
  }
  return {};
}

}  // namespace

Result<void> check_model_name(std::string_view name) {
  auto const rest = [](char c) { return lower_or_digit(c) || c == '.' || c == '_' || c == '-'; };
  if (!matches(name, 64, lower_or_digit, rest)) return refused("model name", name, "[a-z0-9][a-z0-9._-]{0,63}");
  return {};
}

Result<void> check_version_name(std::string_view name) {
  constexpr std::array<std::string_view, 3> kReserved{"latest", "current", "previous"};
  auto const rest = [](char c) { return alnum(c) || c == '.' || c == '_' || c == '+' || c == '-'; };
  if (!matches(name, 64, alnum, rest)) return refused("version", name, "[A-Za-z0-9][A-Za-z0-9._+-]{0,63}");
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end())
    return refused("version", name, "anything but the reserved words latest, current and previous");
  return {};
}

Result<void> check_id(std::string_view what, std::string_view name) {
  auto const rest = [](char c) { return alnum(c) || c == '.' || c == '_' || c == ':' || c == '-'; };
  if (!matches(name, 128, alnum, rest)) return refused(what, name, "[A-Za-z0-9][A-Za-z0-9._:-]{0,127}");
  return {};
}

Result<void> check_file_name(std::string_view path) {
  auto const wrong = [&](std::string_view why) {
    std::string shown(path.substr(0, 300));
    std::replace_if(shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
    return Error{Kind::bad_input, "bad_file_name", fmt::format("file name '{}': {}", shown, why), "give the file another name"};
  };
  if (auto const why = wrong_characters(path); !why.empty()) return wrong(why);
  if (path.size() > 1024) return wrong(fmt::format("the name with its folders has {} bytes, at most 1024 are taken", path.size()));
  for (std::size_t from = 0; from <= path.size();) {
    auto const slash = std::min(path.find('/', from), path.size());
    auto const part = path.substr(from, slash - from);
    if (part.empty() || part == "." || part == "..") return wrong("the name must be a relative path without empty, . or .. parts");
    if (part.size() > 255) return wrong(fmt::format("a part of the name has {} bytes, at most 255 are taken", part.size()));
    from = slash + 1;
  }
  return {};
}

}  // namespace fleet
