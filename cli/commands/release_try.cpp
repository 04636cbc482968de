#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/publish/draft.hpp"
#include "cli/render/text.hpp"
#include "cli/trial/trial.hpp"
#include "core/proof/user.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <charconv>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kRepeatMax = 1'000;
constexpr std::string_view kNobody = "nobody";

Result<std::uint64_t> whole(Arguments const& arguments, std::string_view key, std::uint64_t fallback, std::uint64_t most) {
  if (!arguments.has(key)) return fallback;
  auto const text = arguments.text(key);
  std::uint64_t value = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault == std::errc{} && end == text.data() + text.size() && value <= most) return value;
  return Error{Kind::bad_input, "bad_argument", fmt::format("--{} {}: expected a whole number up to {}", key, text, most)};
}

/// As whom: root's programs of releases need another user, or the word that they shall be root's.
Result<proof::Exec> exec_of(Session& session, Arguments const& arguments) {
  proof::Exec out;
  out.run_as = arguments.text("run-as", ::geteuid() == 0 ? kNobody : std::string_view());
  for (auto const& text : arguments.texts("program")) {
    auto const equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return Error{Kind::bad_input, "bad_argument", fmt::format("--program {}: expected NAME=PATH", text), "--program reader=./build/meter-reader"};
    out.programs[text.substr(0, equals)] = absolute_path(session.around().folder, text.substr(equals + 1));
  }
  if (auto const user = proof::program_user(out.run_as); !user) {
    auto error = user.error();
    error.kind = Kind::bad_input;
    error.hint = "--run-as USER: as whom the release's programs run";
    return error;
  }
  return out;
}

Result<Trial> trial_of(Session& session, Arguments const& arguments) {
  auto const& around = session.around();
  Trial out;
  out.folder = absolute_path(around.folder, arguments.text("FOLDER"));
  auto const manifest = arguments.has("manifest") ? absolute_path(around.folder, arguments.text("manifest")) : out.folder + "/manifest.yaml";
  FLEET_TRY(auto const release, check_folder(session, out.folder, manifest));
  out.manifest = release.manifest;
  if (!out.manifest.golden && !out.manifest.shadow)
    return Error{Kind::bad_input, "nothing_to_try", fmt::format("{} has neither a golden test nor a shadow", manifest), "docs/ci.md, The manifest"};
  if (arguments.has("noise")) {
    FLEET_TRY(out.disturbance, parse_noise(arguments.text("noise")));
  }
  if (arguments.has("loss")) {
    FLEET_TRY(out.disturbance.loss, parse_loss(arguments.text("loss")));
  }
  if (arguments.has("delay")) {
    FLEET_TRY(out.delay, parse_duration(arguments.text("delay")));
  }
  if (arguments.has("against")) out.against = absolute_path(around.folder, arguments.text("against"));
  if (arguments.has("inputs")) out.recorded = absolute_path(around.folder, arguments.text("inputs"));
  if (out.against.empty() != out.recorded.empty())
    return Error{Kind::bad_input, "bad_argument", "a shadow needs --against FOLDER of the version before and --inputs PATH of what was recorded, both"};
  if (!out.against.empty() && !out.manifest.shadow)
    return Error{Kind::bad_input, "bad_argument", fmt::format("{} has no shadow that could be run against {}", manifest, out.against)};
  return out;
}

json::object step_json(Tried::Step const& step) {
  json::object out{{"passed", step.passed()}};
  if (!step.passed()) out["code"] = step.code, out["text"] = step.text, out["output"] = step.output;
  return out;
}

json::object run_json(Tried const& tried, std::uint64_t seed) {
  json::object out{{"seed", seed}, {"passed", tried.passed()}, {"lines", tried.lines}, {"lost", tried.lost}};
  if (tried.golden) {
    auto golden = step_json(*tried.golden);
    if (tried.golden->passed()) {
      auto const& measured = tried.measured;
      golden["latency_ms"] = measured.latency.ms;
      golden["latency_by"] = measured.latency.stated ? "program" : "run";
      golden["latency_judged"] = tried.latency_judged;
      golden["inferences"] = measured.latency.inferences;
      golden["memory_peak"] = measured.peak_bytes;
      golden["took_ms"] = measured.took.count();
    }
    out["golden"] = std::move(golden);
  }
  if (tried.shadow) {
    auto shadow = step_json(*tried.shadow);
    if (tried.shadowed && tried.shadowed->skipped.empty()) {
      auto const& agreement = tried.shadowed->agreement;
      shadow["inferences"] = agreement.inferences;
      shadow["differing"] = agreement.differing;
      shadow["share"] = agreement.share();
      shadow["first"] = agreement.first;
    }
    out["shadow"] = std::move(shadow);
  }
  return out;
}

std::string failed_text(Tried::Step const& step) {
  return fmt::format("FAILED  {} ({}){}{}", step.text, step.code, step.output.empty() ? "" : "\n", step.output);
}

std::string golden_text(Tried const& tried) {
  if (!tried.golden->passed()) return failed_text(*tried.golden);
  auto const& measured = tried.measured;
  auto const how = measured.latency.stated ? "95th percentile, as the program says" : "the whole run by its lines";
  return fmt::format("passed  {:.4g} ms an inference ({}{}), {} at its peak, {}", measured.latency.ms, how, tried.latency_judged ? "" : ", not judged: the delay is in it",
                     proof::memory_text(measured.peak_bytes), to_string(measured.took));
}

void tell(Session& session, Tried const& tried, std::uint64_t seed) {
  auto const line = [&](std::string_view step, std::string const& text) { session.data(render::safe_lines(fmt::format("{:<7} {}\n", step, text))); };
  if (tried.lines > 0) session.say(fmt::format("seed {}: {} of {} lines lost", seed, tried.lost, tried.lines));
  if (tried.golden) line("golden", golden_text(tried));
  if (!tried.shadow) return;
  auto const& agreement = tried.shadowed ? tried.shadowed->agreement : proof::Agreement{};
  line("shadow", tried.shadow->passed() ? fmt::format("passed  {} of {} inferences differ ({:.3g} %)", agreement.differing, agreement.inferences, 100 * agreement.share())
                                        : failed_text(*tried.shadow));
}

/// A folder for what the programs read and write, which their user may enter.
std::string work_folder(Surroundings const& around) {
  auto const base = around.environment("TMPDIR");
  return fmt::format("{}/{}", base && !base->empty() ? *base : std::string("/tmp"), make_ulid("fleet-try-", to_unix_ms(around.clock.wall()), around.random));
}

/// Where the agent's owner would look into agent.yaml.
Error in_words_of_this_machine(Error error) {
  if (error.code == "unknown_program") error.hint = "--program NAME=PATH: what a command calls by name";
  if (error.code == "not_started") error.hint = "--run-as USER: as whom the release's programs run; all folders above them must let that user pass";
  return error;
}

Result<int> try_it(Session& session, Arguments const& arguments) {
  auto const& around = session.around();
  FLEET_TRY(auto const exec, exec_of(session, arguments));
  FLEET_TRY(auto trial, trial_of(session, arguments));
  FLEET_TRY(auto const seed, whole(arguments, "seed", 1, std::uint64_t{1} << 53U));
  FLEET_TRY(auto const repeat, whole(arguments, "repeat", 1, kRepeatMax));
  std::atomic<bool> const stop{false};  // an interrupt ends this program, and what it runs ends with it
  json::array runs;
  bool passed = true;
  for (trial.seed = seed; trial.seed < seed + std::max<std::uint64_t>(1, repeat); ++trial.seed) {
    auto ran = try_release({around.fs, around.clock, exec, stop}, trial, work_folder(around));
    if (!ran) return in_words_of_this_machine(ran.error());
    auto const& tried = *ran;
    passed = passed && tried.passed();
    if (session.for_people()) tell(session, tried, trial.seed);
    else runs.push_back(run_json(tried, trial.seed));
  }
  if (!session.for_people()) show_json(session, json::object{{"folder", trial.folder}, {"passed", passed}, {"runs", std::move(runs)}});
  return passed ? 0 : 1;
}

}  // namespace

std::vector<Command> const& release_try_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"release try",
       "run a release's golden test, budgets and shadow on this machine, without a server",
       "release try build/cam-a --manifest release.yaml\nrelease try build/cam-a --noise 1% --loss 5% --delay 20ms --repeat 10 -o json\n"
       "release try build/cam-a --against build/before --inputs recorded/",
       try_it,
       {{argument, "FOLDER", "", "the release's files, as they would be published"},
        {value, "--manifest", "FILE", "YAML or JSON; else FOLDER/manifest.yaml"},
        {value, "--noise", "SD", "of each number of the golden inputs: 0.01, or 1% of the number"},
        {value, "--loss", "SHARE", "of the lines of the golden inputs that never come: 5%"},
        {value, "--delay", "TIME", "between two lines, which come through a pipe"},
        {value, "--seed", "N", "of noise and loss: the same seed disturbs the same way (1)"},
        {value, "--repeat", "N", "so many runs, each with the next seed; all must pass"},
        {value, "--against", "FOLDER", "the version before, for the shadow"},
        {value, "--inputs", "PATH", "what was recorded, for the shadow"},
        {values, "--program", "NAME=PATH", "what a command calls by name, as `programs` in agent.yaml"},
        {value, "--run-as", "USER", "of the release's programs; being root: nobody"}}}};
  return rows;
}

}  // namespace fleet::cli
