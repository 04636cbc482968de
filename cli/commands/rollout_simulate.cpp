#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/policy_file.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <charconv>
#include <cmath>

namespace fleet::cli {
namespace json = boost::json;
namespace {

using render::number_at;
using render::text_at;

/// `5%` or `0.05`: what stands for it in the API's body.
Result<double> read_share(std::string_view option, std::string const& text) {
  double number = 0;
  auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  auto const rest = std::string_view(text).substr(static_cast<std::size_t>(end - text.data()));
  bool const fine = failed == std::errc{} && std::isfinite(number);
  if (fine && rest == "%") return number / 100;
  if (fine && rest.empty()) return number;
  return Error{Kind::bad_input, "bad_argument", fmt::format("--{}: '{}' is no share of devices", option, text), "write 5% or 0.05"};
}

constexpr std::size_t kScenarioBytesMax = 64 * 1024;

Result<json::object> read_scenario(Session& session, std::string const& file) {
  FLEET_TRY(auto const text, session.around().fs.read(file, kScenarioBytesMax));
  auto const document = wire::read_yaml(text, kScenarioBytesMax);
  if (!document) return wire::in_file(document.error(), file);
  FLEET_TRY(auto value, wire::parse_json(document->json, kScenarioBytesMax));
  if (!value.is_object()) return Error{Kind::bad_input, "bad_scenario", fmt::format("{}: a scenario is an object", file)};
  session.read_from([document = *document, file](Error error) { return document.located(std::move(error), file, "/scenario"); });
  return std::move(value.get_object());
}

/// What options say stands over what the file says.
Result<json::object> simulate_scenario(Session& session, Arguments const& arguments) {
  json::object out;
  if (arguments.has("scenario")) {
    FLEET_TRY(out, read_scenario(session, arguments.text("scenario")));
  }
  for (auto const key : {"base", "harm", "offline"})
    if (arguments.has(key)) {
      FLEET_TRY(out[key], read_share(key, arguments.text(key)));
    }
  if (arguments.has("site-shock")) {
    FLEET_TRY(auto const share, read_share("site-shock", arguments.text("site-shock")));
    out["site_shock"] = json::object{{"share", share}, {"hours", 1}};
  }
  if (arguments.has("kind")) out["kind"] = arguments.text("kind");
  return out;
}

Result<std::int64_t> read_whole(Arguments const& arguments, std::string_view key) {
  auto const text = arguments.text(key);
  std::int64_t number = 0;
  auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc{} && end == text.data() + text.size()) return number;
  return Error{Kind::bad_input, "bad_argument", fmt::format("--{}: expected a whole number, got '{}'", key, text)};
}

Result<json::object> simulate_body(Session& session, Arguments const& arguments) {
  json::object body;
  FLEET_TRY(body["policy"], read_policy(session, arguments.text("policy")));
  for (std::string_view const key : {"devices", "runs", "seed"})
    if (arguments.has(key)) {
      FLEET_TRY(body[key], read_whole(arguments, key));
    }
  FLEET_TRY(auto scenario, simulate_scenario(session, arguments));
  if (arguments.has("bytes")) {
    FLEET_TRY(scenario["bytes"], read_whole(arguments, "bytes"));
  }
  body["scenario"] = std::move(scenario);
  if (arguments.flag("history")) body["history"] = true;
  return body;
}

std::string spread_words(json::value const& told, std::string_view key, std::string_view unit) {
  auto const at = [&](std::string_view part) { return number_at(told, fmt::format("summary.{}.{}", key, part)); };
  return fmt::format("{:.{}f}{} in the median, {:.{}f}{} at most", at("median"), unit.empty() ? 0 : 1, unit, at("max"), unit.empty() ? 0 : 1, unit);
}

void tell_simulation(Session& session, json::value const& told) {
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  auto const seed = text_at(told, "seed");
  auto const list = [&](std::string_view key, std::string_view title) {
    if (auto const* texts = render::member(told, key).if_array())
      for (auto const& text : *texts) line(fmt::format("{}: {}", title, render::text_of(text)));
  };
  list("history.from", "from this fleet's last 30 days");
  list("history.unknown", "not from them");
  bool const harmful = text_at(told, "harmful") == "true";
  line(fmt::format("{} devices, {} runs; the release is {}", text_at(told, "devices"), text_at(told, "summary.runs"), harmful ? "harmful" : "sound"));
  line(fmt::format("run with seed {}:", seed));
  if (auto const* moments = render::member(told, "first").if_array())
    for (auto const& one : *moments)
      line(fmt::format("  after {:.1f} h, stage {}: {}; {} told, {} switched, {} healthy, {} failed, {} silent: {}", number_at(one, "hours"), text_at(one, "stage"),
                       text_at(one, "state"), text_at(one, "told"), text_at(one, "exposed"), text_at(one, "healthy"), text_at(one, "failed"),
                       text_at(one, "silent"), text_at(one, "reason")));
  auto const count = [&](std::string_view key) { return text_at(told, fmt::format("summary.{}", key)); };
  line(fmt::format("all runs: {} completed, {} rolled back, {} paused, {} undecided after 60 days", count("completed"), count("rolled_back"), count("paused"),
                   count("undecided")));
  if (auto const a = count("winners.A"); !a.empty()) line(fmt::format("winners:         A {}, B {}, none {}", a, count("winners.B"), count("winners.none")));
  line(fmt::format("false rollbacks: {}", count("false_rollbacks")));
  line(fmt::format("missed harm:     {}", count("missed_harm")));
  line(fmt::format("devices harmed:  {}", spread_words(told, "harmed", "")));
  line(fmt::format("canaries:        {}", spread_words(told, "canaries", "")));
  line(fmt::format("time to verdict: {}", spread_words(told, "hours", " h")));
  session.say("the same again: --seed " + seed);
}

Result<int> simulate(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const body, simulate_body(session, arguments));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/rollouts:simulate"), body));
  FLEET_TRY(auto const told, answer.json());
  if (session.for_people()) tell_simulation(session, told);
  else if (session.format() == Format::name) session.data(text_at(told, "seed") + "\n");
  else show_json(session, told);
  return 0;
}

}  // namespace

std::vector<Command> const& simulate_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"rollout simulate",
       "a policy against virtual devices: what it would catch, miss and cost",
       "rollout simulate --policy standard --devices 1000 --harm 5% --seed 1",
       simulate,
       {{value, "--policy", "FILE|PRESET", "stages and gates: a file, or cautious, standard, fast, small-fleet", true},
        {value, "--devices", "N", "devices of the fleet (1000)"},
        {value, "--runs", "N", "runs, each with the next seed (20)"},
        {value, "--seed", "S", "of the first run; drawn when left out"},
        {flag, "--history", "", "take the fleet from what yours did in the last 30 days; a scenario and the options below stand over it"},
        {value, "--scenario", "FILE", "what fleet and release are like, YAML or JSON (docs/statistics.md); options below stand over it"},
        {value, "--base", "SHARE", "devices that fail in one attempt whatever they run: 1% or 0.01 (1%)"},
        {value, "--harm", "SHARE", "the same with the new release, in all; of other kinds the devices that it is bad for"},
        {value, "--kind", "KIND", "how they fare: the attempt fails, they fall silent, or what they measure shifts (fails)", false, {"fails", "silent", "metric"}},
        {value, "--offline", "SHARE", "devices out of reach at any time (10%)"},
        {value, "--site-shock", "SHARE", "sites that lose the network for an hour (0)"},
        {value, "--bytes", "N", "size of the release, for limits.egress (10485760)"}}},
  };
  return rows;
}

}  // namespace fleet::cli
