#include "cli/trial/disturb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

namespace fleet::cli {
namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool separates(char c) { return c == ',' || c == ';' || c == ' ' || c == '\t' || c == '\r'; }

/// Calls `each(cell, is_cell)` for every cell of a line, and for what lies between them.
template <class Each>
void split(std::string_view line, Each const& each) {
  while (!line.empty()) {
    bool const between = separates(line.front());
    auto const end = std::find_if(line.begin(), line.end(), [&](char c) { return separates(c) != between; });
    auto const size = static_cast<std::size_t>(end - line.begin());
    each(line.substr(0, size), !between);
    line.remove_prefix(size);
  }
}

bool has_number(std::string_view line) {
  bool any = false;
  split(line, [&](std::string_view cell, bool is_cell) { any = any || (is_cell && number(cell)); });
  return any;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    auto const line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) out.push_back(line);
  }
  return out;
}

/// Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958).
double normal(Random& random) {
  double const radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

std::string with_noise(std::string_view line, Disturbance const& how, Random& random) {
  std::string out;
  split(line, [&](std::string_view cell, bool is_cell) {
    auto const value = is_cell && how.noise > 0 ? number(cell) : std::nullopt;
    if (!value) out += cell;
    else out += fmt::format("{}", *value + how.noise * (how.is_share ? std::abs(*value) : 1) * normal(random));
  });
  return out;
}

Error wrong(std::string detail, std::string hint) { return {Kind::bad_input, "bad_argument", std::move(detail), std::move(hint)}; }

}  // namespace

Result<Disturbance> parse_noise(std::string_view text) {
  bool const is_share = text.ends_with('%');
  auto const value = number(is_share ? text.substr(0, text.size() - 1) : text);
  if (!value || !std::isfinite(*value) || *value < 0)
    return wrong(fmt::format("'{}' is no noise", text), "a standard deviation (0.01), or a share of each number (1%)");
  return Disturbance{is_share ? *value / 100 : *value, is_share, 0};
}

Result<double> parse_loss(std::string_view text) {
  bool const is_percent = text.ends_with('%');
  auto const value = number(is_percent ? text.substr(0, text.size() - 1) : text);
  auto const share = value ? *value / (is_percent ? 100 : 1) : -1;
  if (!(share >= 0 && share <= 1)) return wrong(fmt::format("'{}' is no loss", text), "a share of the lines: 5%, or 0.05");
  return share;
}

Result<Disturbed> disturb(std::string_view inputs, std::string_view expected, Disturbance const& how, Random& random) {
  if (inputs.find('\0') != std::string_view::npos) return wrong("the golden inputs are no text: noise, loss and delay are for lines of numbers", "try it without --noise, --loss and --delay");
  auto const in = lines_of(inputs), out = lines_of(expected);
  if (how.loss > 0 && in.size() != out.size())
    return wrong(fmt::format("the golden inputs have {} lines and the expected output {}: which of them belong to a lost one cannot be told", in.size(), out.size()),
                 "--loss is for tests that write a line for each line they read");
  Disturbed done;
  bool const header = !in.empty() && !has_number(in.front());
  done.lines = in.size() - (header ? 1 : 0);
  if (how.loss <= 0) done.expected = expected;
  for (std::size_t i = 0; i < in.size(); ++i) {
    bool const is_header = header && i == 0;
    if (!is_header && how.loss > 0 && random.uniform() < how.loss) {
      ++done.lost;
      continue;
    }
    done.inputs += (is_header ? std::string(in[i]) : with_noise(in[i], how, random)) + "\n";
    if (how.loss > 0) done.expected += std::string(out[i]) + "\n";
  }
  return done;
}

}  // namespace fleet::cli
