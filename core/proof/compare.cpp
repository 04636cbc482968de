#include "core/proof/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

namespace fleet::proof {
namespace {

constexpr std::size_t kShownBytes = 64;
constexpr std::size_t kColumnsShown = 16;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_comma(char c) { return c == ',' || c == ';'; }

/// Cells of a text with their place, one after the other. In a line that has a comma or semicolon those alone tell columns apart, else white space does.
class Cells {
public:
  explicit Cells(std::string_view text) : left_(text) { begin_line(); }
  struct Cell {
    std::string_view text;
    std::size_t line = 1, column = 1;
  };
  std::optional<Cell> next() {
    while (!left_.empty() && separates(left_.front())) skip();
    if (left_.empty()) return std::nullopt;
    std::size_t size = 0;
    while (size < left_.size() && !separates(left_[size])) ++size;
    Cell const cell{left_.substr(0, size), line_, column_};
    left_.remove_prefix(size);
    if (!by_comma_) ++column_;
    return cell;
  }

private:
  static bool separates(char c) { return is_comma(c) || is_blank(c) || c == '\n'; }
  void begin_line() {
    auto const line = left_.substr(0, left_.find('\n'));
    by_comma_ = std::any_of(line.begin(), line.end(), is_comma);
    column_ = 1;
  }
  void skip() {
    char const c = left_.front();
    left_.remove_prefix(1);
    if (c == '\n') {
      ++line_;
      begin_line();
    } else if (is_comma(c)) {
      ++column_;
    }
  }
  std::string_view left_;
  std::size_t line_ = 1, column_ = 1;
  bool by_comma_ = false;
};

std::optional<double> number(std::string_view text) {
  double value = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool same(std::string_view expected, std::string_view got, double tolerance) {
  auto const a = number(expected), b = number(got);
  if (!a || !b) return expected == got;
  return *a == *b || (std::isnan(*a) && std::isnan(*b)) || std::abs(*a - *b) <= tolerance;
}

Error mismatch(std::string detail) { return {Kind::unprocessable, "golden_mismatch", "golden test: " + std::move(detail)}; }

/// The columns that the first line names, as a CSV header has them.
std::vector<std::string_view> header_of(std::string_view text) {
  auto line = text.substr(0, text.find('\n'));
  bool const by_comma = std::any_of(line.begin(), line.end(), is_comma);
  std::vector<std::string_view> out;
  while (!line.empty()) {
    auto const end = static_cast<std::size_t>(std::find_if(line.begin(), line.end(), by_comma ? is_comma : is_blank) - line.begin());
    auto name = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    while (!name.empty() && is_blank(name.front())) name.remove_prefix(1);
    while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
    if (by_comma || !name.empty()) out.push_back(name);
  }
  return out;
}

/// Each column's own tolerance, by its number from 1.
using ByColumn = std::map<std::size_t, double>;
Result<ByColumn> by_column(std::string_view text, Tolerances const& tolerances) {
  ByColumn out;
  if (tolerances.of.empty()) return out;
  auto const header = header_of(text);
  for (auto const& [name, tolerance] : tolerances.of) {
    std::size_t column = 0;
    if (auto const found = std::find(header.begin(), header.end(), name); found != header.end()) {
      column = static_cast<std::size_t>(found - header.begin()) + 1;
    } else if (auto const [end, fault] = std::from_chars(name.data(), name.data() + name.size(), column);
               fault != std::errc{} || end != name.data() + name.size() || column == 0 || column > header.size()) {
      auto shown = header;
      if (shown.size() > kColumnsShown) shown.resize(kColumnsShown);
      return Error{Kind::unprocessable, "unknown_column", fmt::format("there is no column '{}': the first line has {} ({})", name, header.size(), fmt::join(shown, ", ")),
                   "a tolerance is of a column by its name in the first line, or by its number, from 1"};
    }
    out.insert_or_assign(column, tolerance);
  }
  return out;
}

/// Whether the first line is a header: some tolerance is of a column by its name there.
bool names_columns(std::string_view text, Tolerances const& tolerances) {
  auto const header = header_of(text);
  return std::any_of(tolerances.of.begin(), tolerances.of.end(), [&](auto const& one) { return std::find(header.begin(), header.end(), one.first) != header.end(); });
}

/// Lines that hold something.
class Lines {
public:
  explicit Lines(std::string_view text) : left_(text) {}
  std::optional<std::string_view> next() {
    while (!left_.empty()) {
      auto const line = left_.substr(0, left_.find('\n'));
      left_.remove_prefix(std::min(line.size() + 1, left_.size()));
      if (!std::all_of(line.begin(), line.end(), is_blank)) return line;
    }
    return std::nullopt;
  }

private:
  std::string_view left_;
};

/// Where two lines differ first; empty: nowhere.
std::string difference_of(std::string_view ran, std::string_view came, ByColumn const& own, double any) {
  Cells left(ran), right(came);
  for (;;) {
    auto const a = left.next(), b = right.next();
    if (!a && !b) return {};
    if (!a || !b) return fmt::format("{} ends before cell {}", a ? "the release to come" : "what runs", a ? a->column : b->column);
    auto const of_column = own.find(a->column);
    double const tolerance = of_column == own.end() ? any : of_column->second;
    if (!same(a->text, b->text, tolerance))
      return fmt::format("cell {}: {} ran, {} came (tolerance {})", a->column, a->text.substr(0, kShownBytes), b->text.substr(0, kShownBytes), tolerance);
  }
}

}  // namespace

Result<void> compare_outputs(std::string_view expected, std::string_view got, Tolerances const& tolerances) {
  FLEET_TRY(auto const own, by_column(expected, tolerances));
  Cells left(expected), right(got);
  for (;;) {
    auto const a = left.next(), b = right.next();
    if (!a && !b) return {};
    if (!b) return mismatch(fmt::format("the output ends before line {}, cell {}: expected '{}'", a->line, a->column, a->text.substr(0, kShownBytes)));
    if (!a) return mismatch(fmt::format("the output has more at line {}, cell {}: '{}'", b->line, b->column, b->text.substr(0, kShownBytes)));
    auto const of_column = own.find(a->column);
    double const tolerance = of_column == own.end() ? tolerances.any : of_column->second;
    if (!same(a->text, b->text, tolerance))
      return mismatch(fmt::format("line {}, cell {}: expected {}, got {} (tolerance {})", a->line, a->column, a->text.substr(0, kShownBytes),
                                  b->text.substr(0, kShownBytes), tolerance));
  }
}

Result<Agreement> compare_inferences(std::string_view ran, std::string_view came, Tolerances const& tolerances, std::int64_t n) {
  FLEET_TRY(auto const own, by_column(came, tolerances));
  Lines left(ran), right(came);
  if (names_columns(came, tolerances)) {
    left.next();
    right.next();
  }
  Agreement out;
  for (; out.inferences < n; ++out.inferences) {
    auto const a = left.next(), b = right.next();
    if (!a && !b) return out;
    auto const difference = !a ? std::string("only the release to come made it") : !b ? std::string("only what runs made it") : difference_of(*a, *b, own, tolerances.any);
    if (difference.empty()) continue;
    if (out.differing++ == 0) out.first = fmt::format("inference {}: {}", out.inferences + 1, difference);
  }
  return out;
}

Result<void> check_columns(std::string_view text, Tolerances const& tolerances) {
  FLEET_CHECK(by_column(text, tolerances));
  return {};
}

}  // namespace fleet::proof
