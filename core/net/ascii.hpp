#pragma once

#include <array>
#include <cstddef>
#include <string_view>

/// Character classes of RFC 9110 and RFC 3986, free of locale.
namespace fleet::net {

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
[[nodiscard]] constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
[[nodiscard]] constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  char const lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
/// Membership of each byte in a class, by a predicate.
template <class Predicate>
[[nodiscard]] consteval std::array<bool, 256> make_class(Predicate holds) {
  std::array<bool, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = holds(static_cast<char>(i));
  return table;
}
inline constexpr auto kTokenClass =
    make_class([](char c) { return is_alpha(c) || is_digit(c) || (c != '\0' && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos); });
/// A character of a token: method, header name (RFC 9110, 5.6.2).
[[nodiscard]] constexpr bool is_token(char c) { return kTokenClass[static_cast<unsigned char>(c)]; }
/// True for what may stand in a header's value: visible ASCII, bytes >= 0x80, space and tab (RFC 9110, 5.5).
[[nodiscard]] constexpr bool is_field_text(char c) {
  auto const byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}
[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  return true;
}
[[nodiscard]] constexpr bool is_header_name(std::string_view name) {
  for (char const c : name)
    if (!is_token(c)) return false;
  return !name.empty();
}
[[nodiscard]] constexpr bool is_header_value(std::string_view value) {
  for (char const c : value)
    if (!is_field_text(c)) return false;
  return true;
}

}  // namespace fleet::net
