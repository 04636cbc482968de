#include "server/rollout/policy/amounts.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace fleet::rollout {
namespace {

/// What stands before the sign; nothing without one.
std::optional<std::string_view> number_part(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  auto const read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string plain_text(double value) {
  std::array<char, 400> buffer{};
  auto const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return {buffer.data(), end.ptr};
}

}  // namespace

std::optional<double> parse_percent(std::string_view text) {
  auto const number = number_part(text);
  return number ? parse_number(*number) : std::nullopt;
}

std::optional<double> parse_share(std::string_view text) {
  auto const number = number_part(text);
  if (!number) return std::nullopt;
  if (number->find_first_of("eE") == std::string_view::npos) return parse_number(std::string(*number) + "e-2");
  auto const percent = parse_number(*number);
  return percent ? std::optional(*percent / 100) : std::nullopt;
}

double kept(double value) { return parse_number(fmt::format("{:.12g}", value)).value_or(value); }

std::string percent_sign_text(double percent) { return plain_text(percent) + "%"; }

std::string share_text(double share) {
  auto digits = plain_text(share);
  auto const point = digits.find('.');
  auto whole = digits.substr(0, point);
  auto fraction = point == std::string::npos ? std::string() : digits.substr(point + 1);
  fraction.resize(std::max<std::size_t>(fraction.size(), 2), '0');
  whole += fraction.substr(0, 2);
  fraction.erase(0, 2);
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size() - 1));
  return whole + (fraction.empty() ? "" : "." + fraction) + "%";
}

}  // namespace fleet::rollout
