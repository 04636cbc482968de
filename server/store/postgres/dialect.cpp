#include "server/store/postgres/dialect.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fleet::postgres {
namespace {

/// Where what begins at `at` and is none of ours ends: a string, a quoted name, a comment; `at` itself where nothing such begins.
std::size_t skip(std::string_view sql, std::size_t at) {
  for (auto const& [open, close] : {std::pair{"'", "'"}, std::pair{"\"", "\""}, std::pair{"--", "\n"}, std::pair{"/*", "*/"}}) {
    std::string_view const opening(open), closing(close);
    if (!sql.substr(at).starts_with(opening)) continue;
    auto const end = sql.find(closing, at + opening.size());
    return end == std::string_view::npos ? sql.size() : end + closing.size();
  }
  return at;
}

/// Where a hint that begins at `at` ends, with the space that follows; `at` itself where none does.
std::size_t skip_hint(std::string_view sql, std::size_t at) {
  constexpr std::string_view kHint = "INDEXED BY ", kName = "abcdefghijklmnopqrstuvwxyz_0123456789";
  if (!sql.substr(at).starts_with(kHint)) return at;
  auto const end = std::min(sql.find_first_not_of(kName, at + kHint.size()), sql.size());
  return sql.substr(end).starts_with(' ') ? end + 1 : end;
}

}  // namespace

std::string translated(std::string_view sql) {
  std::string out;
  out.reserve(sql.size() + 16);
  int highest = 0;
  for (std::size_t at = 0; at < sql.size();) {
    if (auto const end = skip(sql, at); end != at) {
      out += sql.substr(at, end - at);
      at = end;
      continue;
    }
    if (auto const end = skip_hint(sql, at); end != at) {
      at = end;
      continue;
    }
    char const next = sql[at++];
    if (next != '?') {
      out += next;
      continue;
    }
    int number = 0;
    auto const [end, error] = std::from_chars(sql.data() + at, sql.data() + sql.size(), number);
    if (error == std::errc{}) at = static_cast<std::size_t>(end - sql.data());
    else number = highest + 1;
    highest = std::max(highest, number);
    out += '$' + std::to_string(number);
  }
  return out;
}

}  // namespace fleet::postgres
