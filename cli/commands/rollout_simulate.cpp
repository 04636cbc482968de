#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/policy_file.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

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

Result<json::object> simulate_body(Session& session, Arguments const& arguments) {
  json::object body;
  FLEET_TRY(body["policy"], read_policy(session, arguments.text("policy")));
  for (auto const key : {"devices", "runs", "seed", "bytes"}) {
    if (!arguments.has(key)) continue;
    auto const text = arguments.text(key);
    std::int64_t number = 0;
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc{} || end != text.data() + text.size())
      return Error{Kind::bad_input, "bad_argument", fmt::format("--{}: expected a whole number, got '{}'", key, text)};
    body[key] = number;
  }
  constexpr auto kShares = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"bad-share", "bad_share"}, {"offline", "offline"}, {"noise", "noise"}, {"shock", "shock"}});
  for (auto const& [option, member] : kShares)
    if (arguments.has(option)) {
      FLEET_TRY(body[member], read_share(option, arguments.text(option)));
    }
  if (arguments.has("bad-kind")) body["bad_kind"] = arguments.text("bad-kind");
  return body;
}

std::string harm_words(json::value const& told) {
  auto const gate = text_at(told, "gate");
  if (gate.empty()) return "the policy has no gate that sees it";
  return fmt::format("gate {} allows {:g}%: this release is {}", gate, 100 * number_at(told, "allowed"),
                     text_at(told, "harmful") == "true" ? "harmful" : "not harmful");
}

void tell_simulation(Session& session, json::value const& told) {
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  auto const seed = text_at(told, "seed");
  line(fmt::format("{} devices, {} runs; {}", text_at(told, "devices"), text_at(told, "runs"), harm_words(told)));
  line(fmt::format("run with seed {}:", seed));
  if (auto const* moments = render::member(told, "first").if_array())
    for (auto const& one : *moments)
      line(fmt::format("  after {}, stage {}: {}; {} told, {} switched, {} healthy, {} failed, {} silent: {}", text_at(one, "after"), text_at(one, "stage"),
                       text_at(one, "state"), text_at(one, "told"), text_at(one, "exposed"), text_at(one, "healthy"), text_at(one, "failed"),
                       text_at(one, "silent"), text_at(one, "reason")));
  auto const count = [&](std::string_view key) { return text_at(told, fmt::format("summary.{}", key)); };
  auto const number = [&](std::string_view key) { return number_at(told, fmt::format("summary.{}", key)); };
  line(fmt::format("all runs: {} completed, {} taken back, {} paused, {} undecided after 30 days", count("completed"), count("taken_back"), count("paused"),
                   count("undecided")));
  line(fmt::format("false rollbacks: {}", count("false_rollbacks")));
  line(fmt::format("missed harm:     {}", count("missed_harm")));
  line(fmt::format("devices harmed:  {:.1f} on average, {} at most", number("devices_harmed.mean"), count("devices_harmed.max")));
  line(fmt::format("time to verdict: {:.1f} h in the median, {:.1f} h at most", number("hours_to_verdict.median"), number("hours_to_verdict.max")));
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
       "rollout simulate --policy standard --devices 1000 --bad-share 5% --seed 1",
       simulate,
       {{value, "--policy", "FILE|PRESET", "stages and gates: a file, or cautious, standard, fast, small-fleet", true},
        {value, "--devices", "N", "devices of the fleet (1000)"},
        {value, "--runs", "N", "runs, each with the next seed (20)"},
        {value, "--seed", "S", "of the first run; drawn when left out"},
        {value, "--bad-share", "SHARE", "devices that the release is bad for: 5% or 0.05 (0)"},
        {value,
         "--bad-kind",
         "KIND",
         "how they fare: the update fails, they fall silent, or guarded metrics leave their bounds (fails)",
         false,
         {"fails", "silent", "metric"}},
        {value, "--offline", "SHARE", "devices out of reach at any time (10%)"},
        {value, "--noise", "SHARE", "updates that fail whatever the release (0)"},
        {value, "--shock", "SHARE", "devices whose sites lose the network for an hour (0)"},
        {value, "--bytes", "N", "size of the release, for limits.egress (10485760)"}}},
  };
  return rows;
}

}  // namespace fleet::cli
