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

}  // namespace fleet
