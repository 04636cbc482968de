#include "core/wire/runtime_rule.hpp"

#include "core/base/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace fleet::wire {
namespace {

using Op = RuntimeRule::Op;
constexpr std::size_t kRulesMax = 16;
constexpr std::size_t kNumbersMax = 8;

struct Spelling {
  std::string_view text;
  Op op;
};
/// Longer ones first.
constexpr auto kSpellings = std::to_array<Spelling>(
    {{"==", Op::equal}, {"~=", Op::compatible}, {">=", Op::at_least}, {"<=", Op::at_most}, {">", Op::above}, {"<", Op::below}});

bool is_comparing(char c) { return std::string_view("=~<>!").find(c) != std::string_view::npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

Error wrong(std::string_view part, std::string_view why) {
  return {Kind::bad_input, "bad_runtime_rule", fmt::format("'{}': {}", part.substr(0, 80), why),
          "write a runtime and a comparison with ==, ~=, >=, >, <= or <, several with commas: \"tensorrt>=8.6,<8.7\""};
}

/// The numbers that a version begins with, and how much of the text they are.
struct Numbers {
  std::vector<std::int64_t> values;
  std::size_t length = 0;
};

Numbers leading_numbers(std::string_view text) {
  Numbers out;
  while (out.length < text.size() && is_digit(text[out.length])) {
    std::int64_t number = 0;
    auto const [end, fault] = std::from_chars(text.data() + out.length, text.data() + text.size(), number);
    out.values.push_back(fault == std::errc{} ? number : std::numeric_limits<std::int64_t>::max());
    out.length = static_cast<std::size_t>(end - text.data());
    if (out.length + 1 >= text.size() || text[out.length] != '.' || !is_digit(text[out.length + 1])) break;
    ++out.length;
  }
  return out;
}

/// -1, 0, 1: `a` is below, the same as, above `b`.
int compare(std::vector<std::int64_t> const& a, std::vector<std::int64_t> const& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    auto const left = i < a.size() ? a[i] : 0, right = i < b.size() ? b[i] : 0;
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

/// True when `version` begins with the first `count` numbers of `series`.
bool in_series(std::vector<std::int64_t> version, std::vector<std::int64_t> const& series, std::size_t count) {
  version.resize(count, 0);
  return std::equal(version.begin(), version.end(), series.begin());
}

Result<RuntimeRule> parse_version(RuntimeRule rule, std::string_view written, std::string_view part) {
  rule.series = written.ends_with(".*");
  if (rule.series) written.remove_suffix(2);
  auto numbers = leading_numbers(written);
  if (written.empty() || numbers.length != written.size() || numbers.values.size() > kNumbersMax)
    return wrong(part, written.empty() ? "a version is missing" : fmt::format("'{}' is no version: numbers with dots between them, such as 8.6.1", written.substr(0, 40)));
  if (rule.series && rule.op != Op::equal) return wrong(part, "`.*` goes with == alone");
  if (rule.op == Op::compatible && numbers.values.size() < 2) return wrong(part, "~= needs two numbers or more: ~=1.17 takes 1.17 and later, below 2");
  rule.version = std::move(numbers.values);
  return rule;
}

Result<RuntimeRule> parse_rule(std::string_view part, std::string_view before) {
  auto const at = static_cast<std::size_t>(std::find_if(part.begin(), part.end(), is_comparing) - part.begin());
  auto const end = static_cast<std::size_t>(std::find_if_not(part.begin() + static_cast<std::ptrdiff_t>(at), part.end(), is_comparing) - part.begin());
  auto const name = trimmed(part.substr(0, at)), sign = part.substr(at, end - at), version = trimmed(part.substr(end));
  RuntimeRule rule;
  rule.runtime = name.empty() ? before : name;
  if (rule.runtime.empty()) return wrong(part, "the name of a runtime is missing");
  if (auto const fine = check_id("runtime", rule.runtime); !fine) return wrong(part, fine.error().detail);
  rule.text = fmt::format("{}{}{}", rule.runtime, sign, version);
  if (sign.empty()) return rule;
  auto const found = std::find_if(kSpellings.begin(), kSpellings.end(), [&](Spelling const& one) { return one.text == sign; });
  if (found == kSpellings.end()) return wrong(part, sign == "=" ? "`=` is no comparison: == is exactly this version" : fmt::format("`{}` is no comparison", sign));
  rule.op = found->op;
  return parse_version(std::move(rule), version, part);
}

}  // namespace

Result<std::vector<RuntimeRule>> parse_runtime_rules(std::string_view text) {
  std::vector<RuntimeRule> out;
  while (true) {
    auto const comma = text.find(',');
    auto const part = trimmed(text.substr(0, comma));
    if (part.empty()) return wrong(text, "a comparison is missing");
    if (out.size() == kRulesMax) return wrong(part, fmt::format("more than {} comparisons", kRulesMax));
    FLEET_TRY(auto rule, parse_rule(part, out.empty() ? std::string_view() : std::string_view(out.back().runtime)));
    out.push_back(std::move(rule));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

bool holds(RuntimeRule const& rule, std::string_view reported) {
  if (rule.op == Op::any) return true;
  reported = trimmed(reported);
  if (reported.starts_with('v') || reported.starts_with('V')) reported.remove_prefix(1);
  auto const have = leading_numbers(reported).values;
  if (have.empty()) return false;
  auto const order = compare(have, rule.version);
  switch (rule.op) {
    case Op::equal: return rule.series ? in_series(have, rule.version, rule.version.size()) : order == 0;
    case Op::compatible: return order >= 0 && in_series(have, rule.version, rule.version.size() - 1);
    case Op::at_least: return order >= 0;
    case Op::at_most: return order <= 0;
    case Op::above: return order > 0;
    case Op::below: return order < 0;
    case Op::any: break;
  }
  return true;
}

}  // namespace fleet::wire
