#include "agent/proof/proof.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kOutputMax = 16 * 1024 * 1024;

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

std::map<std::string, std::string> environment_of(Candidate const& candidate) {
  return {{"FLEET_MODEL", candidate.model},
          {"FLEET_VERSION", candidate.version},
          {"FLEET_RELEASE", candidate.digest},
          {"FLEET_SLOT", candidate.slot},
          {"FLEET_STATSD", candidate.statsd}};
}

Result<void> golden_test(Bench const& bench, Candidate const& candidate, wire::Golden const& golden) {
  auto const output = candidate.scratch + "/output";
  auto const failed = [](std::string code, std::string detail, std::string tail) {
    return Error{Kind::unprocessable, std::move(code), std::move(detail), std::move(tail)};
  };
  auto command = resolve(golden.command, candidate.slot, bench.config.programs);
  if (!command) return failed("golden_failed", command.error().detail, {});
  // Whoever runs the test must be able to write here, and nobody but this test looks at it.
  ::chmod(candidate.scratch.c_str(), 01777);
  command->timeout = golden.timeout;
  command->run_as = bench.config.run_as;
  command->environment = environment_of(candidate);
  command->environment["FLEET_OUTPUT"] = output;
  if (!golden.inputs.empty()) command->environment["FLEET_INPUTS"] = candidate.slot + "/" + golden.inputs;
  auto const ran = run(*command, bench.stop);
  if (!ran) return ran.error().code == "interrupted" ? ran.error() : failed("golden_failed", ran.error().detail, {});
  if (ran->timed_out) return failed("golden_timeout", fmt::format("golden test: {}", ran->text), ran->output);
  if (!ran->ok()) return failed("golden_failed", fmt::format("golden test: the program {}", ran->text), ran->output);
  FLEET_TRY(auto const expected, bench.fs.read(candidate.slot + "/" + golden.expect, kOutputMax));
  auto const info = bench.fs.info(output);
  if (!info || info->type != FileInfo::Type::file) return failed("golden_mismatch", "golden test: the program wrote no $FLEET_OUTPUT", ran->output);
  auto const got = bench.fs.read(output, kOutputMax);
  if (!got) return failed("golden_mismatch", got.error().detail, ran->output);
  auto compared = compare_outputs(expected, *got, golden.tolerance);
  if (compared) return {};
  auto error = compared.error();
  error.hint = ran->output;
  return error;
}

Result<void> run_program(Bench const& bench, Candidate const& candidate, std::vector<std::string> const& words, std::string const& code,
                         Millis timeout) {
  auto command = resolve(words, candidate.slot, bench.config.programs);
  if (!command) return Error{Kind::unprocessable, code, command.error().detail};
  command->timeout = timeout;
  command->run_as = bench.config.run_as;
  command->environment = environment_of(candidate);
  auto const ran = run(*command, bench.stop);
  if (!ran) return ran.error().code == "interrupted" ? ran.error() : Error{Kind::unprocessable, code, ran.error().detail};
  if (ran->ok()) return {};
  return Error{Kind::unprocessable, code, fmt::format("{} {}", words.front(), ran->text), ran->output};
}

}  // namespace fleet::agent
