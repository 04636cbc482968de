#include "agent/proof/proof.hpp"

#include "agent/proof/user.hpp"
#include "core/base/log.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

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

namespace {

/// A folder that the program's user alone may write to, gone when the test is over.
class Scratch {
public:
  static Result<Scratch> make(Fs& fs, std::string const& path, Owner owner) {
    FLEET_CHECK(fs.remove_tree(path));
    FLEET_CHECK(fs.make_private_dir(path, owner));
    return Scratch(fs, path);
  }
  Scratch(Scratch&& other) noexcept : fs_(other.fs_), path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (path_.empty()) return;
    if (auto const removed = fs_.remove_tree(path_); !removed) log::warn("scratch.left", {{"path", path_}, {"error", removed.error().detail}});
  }

private:
  Scratch(Fs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Fs& fs_;
  std::string path_;
};

Error failed(std::string code, std::string detail, std::string output) {
  return {Kind::unprocessable, std::move(code), "golden test: " + std::move(detail), std::move(output)};
}

Result<Command> golden_command(Bench const& bench, Candidate const& candidate, wire::Golden const& golden) {
  FLEET_TRY(auto command, resolve(golden.command, candidate.slot, bench.config.exec));
  command.timeout = golden.timeout;
  command.environment = environment_of(candidate);
  command.environment["FLEET_OUTPUT"] = candidate.scratch + "/output";
  if (!golden.inputs.empty()) command.environment["FLEET_INPUTS"] = candidate.slot + "/" + golden.inputs;
  return command;
}

}  // namespace

Result<void> golden_test(Bench const& bench, Candidate const& candidate, wire::Golden const& golden) {
  FLEET_TRY(auto const command, golden_command(bench, candidate, golden));
  FLEET_TRY(auto const user, program_user(bench.config.exec.run_as));
  FLEET_TRY(auto const scratch, Scratch::make(bench.fs, candidate.scratch, user.owner()));
  FLEET_TRY(auto const ran, run(command, bench.waits, bench.stop));
  if (ran.timed_out) return failed("golden_timeout", ran.text, ran.output);
  if (!ran.ok()) return failed("golden_failed", fmt::format("the program {}", ran.text), ran.output);
  auto const expected = bench.fs.read(candidate.slot + "/" + golden.expect, kOutputMax);
  if (!expected && expected.error().kind != Kind::too_large) return expected.error();
  if (!expected) return failed("golden_failed", expected.error().detail, {});
  // What was opened is the program's own, or it is neither read nor quoted: a link to a file that only root reads must not end up at the server.
  auto const got = bench.fs.read_own(candidate.scratch + "/output", kOutputMax, user.owner());
  if (!got && got.error().kind == Kind::io) return got.error();
  if (!got)
    return failed("golden_mismatch", got.error().kind == Kind::not_found ? "the program wrote no $FLEET_OUTPUT" : "$FLEET_OUTPUT: " + got.error().detail,
                  ran.output);
  auto compared = compare_outputs(*expected, *got, golden.tolerance);
  if (compared) return {};
  auto error = compared.error();
  error.hint = ran.output;
  return error;
}

Result<void> run_program(Bench const& bench, Candidate const& candidate, std::vector<std::string> const& words, std::string const& code, Millis timeout) {
  FLEET_TRY(auto command, resolve(words, candidate.slot, bench.config.exec));
  command.timeout = timeout;
  command.environment = environment_of(candidate);
  FLEET_TRY(auto const ran, run(command, bench.waits, bench.stop));
  if (ran.ok()) return {};
  return Error{Kind::unprocessable, code, fmt::format("{} {}", words.front(), ran.text), ran.output};
}

}  // namespace fleet::agent
