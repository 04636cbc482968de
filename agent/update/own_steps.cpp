#include "agent/proof/own_reason.hpp"
#include "agent/store/boot_record.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/env.hpp"
#include "core/base/log.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

/// The agent's own program (docs/adr/0047): one model more, whose test, switch and probation have these steps besides.
namespace fleet::agent {
namespace {

constexpr Millis kProbationMax = std::chrono::minutes{15};  ///< where the manifest does not say
constexpr Millis kWatchdogMargin = std::chrono::seconds{5};
constexpr Millis kSettleAgain = std::chrono::seconds{5};  ///< where the disk did not take it
constexpr std::size_t kAnswerBytesMax = 4096;

/// What the agent itself goes by: its successor will have the same.
constexpr auto kPassedOn = std::to_array<char const*>({"https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "TPM2OPENSSL_TCTI", "OPENSSL_CONF", "SSL_CERT_FILE", "SSL_CERT_DIR"});

Error failed(std::string detail, std::string output) { return {Kind::unprocessable, "golden_failed", "golden test of the agent's program: " + std::move(detail), std::move(output)}; }

/// Format of the journal that the program reads and writes, as `self-test` says it.
Result<std::int64_t> journal_of(std::string const& answer) {
  auto const value = wire::parse_json(answer, kAnswerBytesMax);
  if (!value) return failed("its self-test said no JSON", answer);
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*value, "", faults);
  auto const format = reader.required_integer("journal", 0, 1'000'000);
  if (!faults.empty()) return failed("its self-test did not say which format of the journal it has", answer);
  return format;
}

}  // namespace

wire::Probation ModelUpdate::own_probation(wire::Manifest& manifest) {
  if (!manifest.probation) {
    manifest.probation.emplace();
    manifest.probation->max = kProbationMax;
  }
  return *manifest.probation;
}

Result<void> ModelUpdate::test_own(Part const& part) {
  auto const bench = this->bench();
  proof::Command command;
  command.program = fmt::format("{}/{}", context_.slots.slot(part.model, part.version.digest), wire::kAgentProgram);
  command.arguments = {"self-test", "--root", context_.layout.root};
  command.directory = "/";
  command.exec = context_.config.exec;
  command.exec.run_as = ::geteuid() == 0 ? "root" : "";  // as the agent: it is to be the agent
  command.timeout = kOwnTestTimeout;
  command.of_release = true;
  for (auto const* const name : kPassedOn)
    if (auto const value = environment(name)) command.environment[name] = *value;
  std::string answer;
  command.answers = [&](BytesView piece) {
    answer.append(as_text(piece).substr(0, kAnswerBytesMax - std::min(answer.size(), kAnswerBytesMax)));
    return answer.size() < kAnswerBytesMax;
  };
  FLEET_TRY(auto const ran, bench.run(command, bench.waits, bench.stop));
  bool const is_away = ran.exit_code == exit_code(Kind::unavailable) || ran.exit_code == exit_code(Kind::timeout);
  if (is_away) return Error{Kind::unavailable, "no_contact", fmt::format("the new agent does not reach the server now: {}", ran.output)};
  if (ran.exit_code == kAgainLater) return Error{Kind::io, "io_error", fmt::format("the new agent cannot read what lies here now: {}", ran.output)};
  if (!ran.ok()) return failed(fmt::format("its self-test {}", ran.text), ran.output);
  FLEET_TRY(auto const format, journal_of(answer));
  if (format < kJournalFormat)
    return Error{Kind::unprocessable, "older_journal",
                 fmt::format("golden test of the agent's program: {} reads journals of format {}, this device has format {}", part.version.version, format, kJournalFormat)};
  return {};
}

Result<void> ModelUpdate::begin_trial(ModelState const& state, Part const& part) {
  FLEET_TRY(auto const link, context_.slots.current(model_));
  FLEET_TRY(auto const known, load_boot(context_.fs, context_.layout));
  if (known && known->trial == part.version.digest && link == part.version.digest) return {};  // this switch is taken up again: its starts count on
  auto manifest = part.release.manifest;
  auto const longest = longest_probation(own_probation(manifest));
  on_trial_ = true;
  return save_boot(context_.fs, context_.layout, {part.version.digest, state.running.digest, 0, 2 * longest + kWatchdogMargin});
}

/// After the journal: what is over there and still on trial for who starts it is so for a moment, or until the disk takes it.
void ModelUpdate::end_trial() {
  context_.outside.own->proved();
  auto const gone = forget_boot(context_.fs, context_.layout);
  on_trial_ = !gone;
  if (gone) return;
  log_failed("end the trial", gone.error());
  look_again_in(kSettleAgain);
}

bool ModelUpdate::is_another_program(ModelState const& state) const { return is_own() && context_.outside.own->slot != state.running.digest; }

void ModelUpdate::settle_own() {
  if (!is_own() || !at_rest(state().state) || gives_way_to_current()) return;
  settle_installed();
  if (!is_another_program(state())) return on_trial_ ? end_trial() : void();
  look_again_in(kSettleAgain);
}

bool ModelUpdate::gives_way_to_current() {
  auto const link = context_.slots.current(model_);
  if (!link || *link == own_link_) return false;
  if (!asked_to_restart_) {
    log::info("agent.gives_way", {{"from", own_link_}, {"to", *link}});
    context_.outside.own->restart();
  }
  asked_to_restart_ = true;
  return true;
}

}  // namespace fleet::agent
