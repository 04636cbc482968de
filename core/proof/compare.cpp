#include "core/proof/compare.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace fleet::proof {
namespace {

/// Cells of a text with their place, one after the other.
class Cells {
public:
  explicit Cells(std::string_view text) : left_(text) {}
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
    return cell;
  }

private:
  static bool separates(char c) { return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';'; }
  void skip() {
    if (left_.front() == '\n') {
      ++line_;
      column_ = 1;
    } else if (left_.front() == ',' || left_.front() == ';') {
      ++column_;
    }
    left_.remove_prefix(1);
  }
  std::string_view left_;
  std::size_t line_ = 1, column_ = 1;
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
  return *a == *b || std::abs(*a - *b) <= tolerance;
}

Error mismatch(std::string detail) { return {Kind::unprocessable, "golden_mismatch", "golden test: " + std::move(detail)}; }

}  // namespace

Result<void> compare_outputs(std::string_view expected, std::string_view got, double tolerance) {
  Cells left(expected), right(got);
  for (;;) {
    auto const a = left.next(), b = right.next();
    if (!a && !b) return {};
    if (!b) return mismatch(fmt::format("the output ends before line {}, cell {}: expected '{}'", a->line, a->column, a->text.substr(0, 64)));
    if (!a) return mismatch(fmt::format("the output has more at line {}, cell {}: '{}'", b->line, b->column, b->text.substr(0, 64)));
    if (!same(a->text, b->text, tolerance))
      return mismatch(
          fmt::format("line {}, cell {}: expected {}, got {} (tolerance {})", a->line, a->column, a->text.substr(0, 64), b->text.substr(0, 64), tolerance));
  }
}

}  // namespace fleet::proof
