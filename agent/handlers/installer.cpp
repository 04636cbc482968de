#include "agent/handlers/installer.hpp"

#include "agent/proof/own_reason.hpp"
#include "core/proof/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace fleet::agent {
namespace {

constexpr int kUnknownVerb = 2;  ///< as getopt's users have it
constexpr Millis kQuestionTimeout = std::chrono::seconds{60};
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

struct Row {
  std::string_view word;
  bool is_question;  ///< answered at once: it does no work
  bool must_know;
};
constexpr std::array<Row, 7> kRows{{{"check", true, false},
                                    {"install", false, true},
                                    {"switch", false, true},
                                    {"commit", false, false},
                                    {"rollback", false, true},
                                    {"collect", true, false},
                                    {"state", true, false}}};
Row const& row_of(Verb verb) { return kRows[static_cast<std::size_t>(verb)]; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  auto const from = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(from, text.find_last_not_of(kBlanks) + 1 - from);
}

/// Of what it said, for one line of a report: the last that holds anything.
std::string last_line(std::string_view output) {
  while (output.ends_with('\n')) output.remove_suffix(1);
  return std::string(output.substr(output.rfind('\n') + 1));
}

Result<proof::Command> command_of(Bench const& bench, Installation const& installation, Verb verb) {
  auto const& [program, timeout] = installation.installer;
  auto const& programs = bench.config.exec.programs;
  auto const found = programs.find(program);
  if (found == programs.end())
    return Error{Kind::not_found, "unknown_program", fmt::format("'{}' installs {}@{}, and is no program of this device", program, installation.candidate.model, installation.candidate.version),
                 "name it under exec: {programs: {...}} in agent.yaml"};
  proof::Command out;
  out.program = found->second;
  out.arguments = {std::string(to_string(verb))};
  out.directory = "/";
  out.exec = bench.config.exec;
  // What it writes are releases, not logs: the owner gave it that task.
  out.exec.limits.file_bytes = std::numeric_limits<std::uint64_t>::max();
  if (bench.config.as_root.contains(program)) out.exec.run_as = "root";
  out.timeout = row_of(verb).is_question ? kQuestionTimeout : timeout;
  out.environment = proof::environment_of(installation.candidate);
  out.environment["FLEET_HARDWARE"] = installation.hardware;
  out.environment["FLEET_PREVIOUS"] = installation.previous;
  out.environment["FLEET_FILES"] = fmt::format("{}", fmt::join(installation.files, "\n"));
  if (verb == Verb::collect) out.environment["FLEET_KEEP"] = fmt::format("{}", fmt::join(installation.keep, " "));
  return out;
}

Result<void> judge(Installation const& installation, Verb verb, proof::Outcome const& ran) {
  auto const& [word, is_question, must_know] = row_of(verb);
  if (ran.ok() || (!must_know && ran.exit_code == kUnknownVerb)) return {};
  auto const text = fmt::format("{} {} of {}@{} {}: {}", installation.installer.program, word, installation.candidate.model, installation.candidate.version, ran.text, last_line(ran.output));
  if (ran.exit_code == kAgainLater) return Error{Kind::unavailable, "installer_busy", text};
  return Error{Kind::unprocessable, verb == Verb::check ? "ineligible" : fmt::format("{}_failed", word), text, ran.output};
}

}  // namespace

std::string_view to_string(Verb verb) { return row_of(verb).word; }

Result<void> ask_installer(Bench const& bench, Installation const& installation, Verb verb) {
  FLEET_TRY(auto const command, command_of(bench, installation, verb));
  FLEET_TRY(auto const ran, bench.run(command, bench.waits, bench.stop));
  return judge(installation, verb, ran);
}

Result<std::map<std::string, std::string>> installer_answers(Bench const& bench, Installation const& installation, Verb verb) {
  FLEET_TRY(auto command, command_of(bench, installation, verb));
  std::string answers;
  command.answers = [&](BytesView piece) {
    answers.append(as_text(piece).substr(0, kAnswerBytesMax - std::min(answers.size(), kAnswerBytesMax)));
    return answers.size() < kAnswerBytesMax;
  };
  FLEET_TRY(auto const ran, bench.run(command, bench.waits, bench.stop));
  FLEET_CHECK(judge(installation, verb, ran));
  return read_answers(answers);
}

std::map<std::string, std::string> read_answers(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    auto const end = std::min(text.find('\n'), text.size());
    auto const line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    auto const equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    auto const key = trimmed(line.substr(0, equals));
    if (!key.empty()) out.insert_or_assign(std::string(key), std::string(trimmed(line.substr(equals + 1))));
  }
  return out;
}

}  // namespace fleet::agent
