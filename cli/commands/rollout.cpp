#include "cli/client/follow.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/policy_file.hpp"
#include "cli/args/refs.hpp"
#include "cli/render/failure.hpp"
#include "cli/render/json.hpp"
#include "cli/render/money.hpp"
#include "cli/render/rollout.hpp"
#include "cli/render/table.hpp"
#include "cli/render/text.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Result<json::object> rollout_body(Session& session, Arguments const& arguments) {
  if (session.selector().empty() != arguments.flag("all"))
    return Error{Kind::bad_input, "bad_argument", "say which devices: either -l SELECTOR or --all", "-l site=lab"};
  FLEET_TRY(auto const release, parse_release(arguments.text("release")));
  json::object body{{"model", release.model}, {"version", release.version}, {"selector", session.selector()}};
  FLEET_TRY(body["policy"], read_policy(session, arguments.text("policy")));
  for (auto const key : {"after", "supersede"})
    if (arguments.has(key)) body[key] = arguments.text(key);
  if (!session.reason().empty()) body["reason"] = session.reason();
  return body;
}

void tell_texts(Session& session, json::value const& texts, std::string_view lead) {
  if (auto const* array = texts.if_array())
    for (auto const& text : *array) session.data(render::safe_text(std::string(lead) + render::text_of(text)) + "\n");
}

std::string strata_of(json::value const& stage) {
  std::string out;
  if (auto const* strata = render::member(stage, "strata").if_array())
    for (auto const& one : *strata) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", render::text_at(one, "stratum"), render::text_at(one, "devices"));
  return out;
}

/// How many devices each stage tells, and in what pieces. What an older server does not say is left out.
void tell_stage_table(Session& session, json::array const& stages) {
  render::Table table;
  table.columns = {{"STAGE", false, true}, {"DEVICES", true}, {"AT MOST", true}, {"WINDOW", true}, {"CONTROLS", true}, {"OF"}};
  for (auto const& stage : stages) {
    auto const percent = render::short_number_at(stage, "percent");
    table.rows.push_back({{render::text_at(stage, "index") + (percent.empty() ? "" : " (" + percent + "%)")},
                          {render::text_at(stage, "devices")},
                          {render::text_at(stage, "cap")},
                          {render::text_at(stage, "window")},
                          {render::text_at(stage, "controls")},
                          {strata_of(stage)}});
  }
  session.data(render::draw(table, session.paper()));
}

std::string time_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  return seconds < 3600 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

/// How many bytes reach the devices, by which routes; and how long that takes over an uplink, shared by all or each device's own.
/// @param rate  bytes a second; 0: not asked for
void tell_delivery(Session& session, json::value const& delivery, std::string const& uplink, std::uint64_t rate) {
  if (!delivery.is_object()) return;  // an older server
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  auto const size = [&](json::value const& from, std::string_view key) { return render::size_text(static_cast<std::uint64_t>(render::number_at(from, key))); };
  line(fmt::format("delivery: {} in all; as they are {}", size(delivery, "bytes"), size(delivery, "as_it_is_bytes")));
  auto const* const devices = render::member(delivery, "devices").if_array();
  for (std::size_t i = 0; devices != nullptr && i < devices->size(); ++i) {
    auto const& one = (*devices)[i];
    auto const from = render::text_at(one, "from");
    line(fmt::format("  {} x {} {}{}: {}, {} each", render::text_at(one, "devices"), render::text_at(one, "hardware"), render::text_at(one, "model"), from.empty() ? "" : " from " + from,
                     render::text_at(one, "kind"), size(one, "bytes")));
  }
  if (auto const money = render::money_text(render::member(delivery, "money")); !money.empty()) line("  egress: " + money);
  if (rate == 0) return;
  auto const seconds = [&](std::string_view key) { return time_text(render::number_at(delivery, key) / static_cast<double>(rate)); };
  line(fmt::format("  at {}: {} where all share it, {} at most for a device that has it for itself", uplink, seconds("bytes"), seconds("largest_bytes")));
}

void tell_plan(Session& session, json::value const& plan) {
  auto const on = render::text_at(plan, "selector");
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  line(fmt::format("{} on {}: {} devices, {} more not eligible", render::text_at(plan, "release"), on.empty() ? "all devices" : on, render::text_at(plan, "targeted"),
                   render::text_at(plan, "ineligible")));
  if (auto const held = render::text_at(plan, "holdback"); !held.empty() && held != "0") line(fmt::format("holdback: {} of them follow once it has completed", held));
  if (auto const* stages = render::member(plan, "stages").if_array()) {
    tell_stage_table(session, *stages);
    for (auto const& stage : *stages) {
      line(fmt::format("stage {}", render::text_at(stage, "index")));
      tell_texts(session, render::member(stage, "detects"), "  detects: ");
      if (auto const certifies = render::text_at(stage, "certifies"); !certifies.empty()) line("  passes on: " + certifies);
    }
  }
  if (auto const* conflicts = render::member(plan, "conflicts").if_array())
    for (auto const& one : *conflicts)
      line(fmt::format("conflict: rollout {} ({}) covers {} of them", render::text_at(one, "rollout"), render::text_at(one, "state"), render::text_at(one, "devices")));
  tell_texts(session, render::member(plan, "warnings"), "warning: ");
}

Result<int> plan_rollout(Session& session, Arguments const& arguments) {
  auto const uplink = arguments.text("uplink");
  FLEET_TRY(auto const rate, uplink.empty() ? Result<std::uint64_t>(0) : wire::parse_rate(uplink));
  FLEET_TRY(auto const body, rollout_body(session, arguments));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/rollouts:plan"), body));
  FLEET_TRY(auto const plan, answer.json());
  if (session.for_people()) {
    tell_plan(session, plan);
    tell_delivery(session, render::member(plan, "delivery"), uplink, rate);
  } else if (session.format() == Format::name) {
    session.data(render::safe_text(render::text_at(plan, "release")) + "\n");
  } else {
    show_json(session, plan);
  }
  return 0;
}

Result<int> create_rollout(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto body, rollout_body(session, arguments));
  body["start"] = arguments.flag("start");
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/rollouts"), body, arguments.text("idempotency-key")));
  FLEET_TRY(auto const rollout, answer.json());
  FLEET_TRY(auto const code, show_object(session, rollout, rollout_shape()));
  if (!session.for_people()) return code;
  auto const id = render::text_at(rollout, "id");
  auto const state = render::text_at(rollout, "state");
  if (state == "awaiting_approval") session.say("it waits for approval: fleetctl rollout approve " + id + " --reason TEXT");
  else session.say(state == "draft" ? "start it: fleetctl rollout start " + id : "watch it: fleetctl rollout watch " + id);
  return code;
}

Result<int> list_rollouts(Session& session, Arguments const& arguments) {
  Route route("/rollouts");
  route.with("model", arguments.text("model")).with("state", arguments.text("state"));
  return show_list(session, arguments, route, rollout_shape());
}

Result<int> get_rollout(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const rollout, api->get(Route("/rollouts/{}", {arguments.text("ID")})));
  if (!session.for_people()) return show_object(session, rollout, rollout_shape());
  auto const window = render::Window{session.paper().width.value_or(10'000), 10'000};
  for (auto const& line : render::rollout_frame(render::read_rollout(rollout), session.now(), window, session.paper().color, session.format() == Format::wide)) session.data(line + "\n");
  for (auto const& line : failures_of(session, rollout)) session.data(line + "\n");
  return 0;
}

std::string counted(std::string const& count, std::string_view one, std::string_view more) { return fmt::format("{} {}", count, count == "1" ? one : more); }

/// Canaries beside controls, in the windows that were judged.
void tell_arms(Session& session, json::value const& told) {
  auto const& window = render::member(told, "window");
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  if (window.is_object())
    line(fmt::format("window {} is {}: {} in all, beside {}", render::text_at(window, "number"), render::text_at(window, "state"),
                     counted(render::text_at(window, "canaries"), "canary", "canaries"), counted(render::text_at(window, "controls"), "control", "controls")));
  auto const& arms = render::member(told, "arms");
  auto const judged = render::text_at(arms, "windows");
  if (!arms.is_object() || judged == "0") return;
  auto const storms = render::text_at(arms, "storms");
  line(fmt::format("{} {} judged{}", judged, judged == "1" ? "window was" : "windows were",
                   storms == "0" ? "" : fmt::format(", {} of them storms: their failures are not shown", storms)));
  render::Table table;
  table.columns = {{"", false, true}, {"JUDGED", true}, {"FAILED", true}, {"SILENT", true}, {"LEFT", true}};
  for (auto const arm : {"canary", "control"}) {
    auto const& one = render::member(arms, arm);
    table.rows.push_back({{arm}, {render::text_at(one, "judged")}, {render::text_at(one, "failed")}, {render::text_at(one, "silent")}, {render::text_at(one, "left")}});
  }
  session.data(render::draw(table, session.paper()));
}

/// One sentence a gate; what it weighs where numbers are asked for.
void tell_gate(Session& session, json::value const& gate) {
  auto const read = render::read_gate(gate);
  session.data(render::safe_text(render::gate_line(read)) + "\n");
  if (session.format() != Format::wide) return;
  auto numbers = fmt::format("      {} {}: {}", read.name, read.test, render::gate_numbers(read));
  if (auto const* evidence = render::member(gate, "evidence").if_object())
    for (auto const& one : *evidence) numbers += fmt::format(", {} {}", std::string_view(one.key()), render::short_number_at(one.value(), ""));
  session.data(render::safe_text(numbers) + "\n");
}

void tell_explanation(Session& session, json::value const& told) {
  auto const line = [&](std::string const& text) { session.data(render::safe_text(text) + "\n"); };
  line(fmt::format("{}: {}", render::text_at(told, "rollout"), render::text_at(told, "state")));
  session.data(render::safe_lines(render::text_at(told, "text")) + "\n");
  auto const each = [&](std::string_view key, auto const& tell) {
    if (auto const* array = render::member(told, key).if_array())
      for (auto const& one : *array) tell(one);
  };
  each("stages", [&](json::value const& stage) {
    line(fmt::format("stage {} ({}%, {}): {}", render::text_at(stage, "index"), render::short_number_at(stage, "percent"),
                     counted(render::text_at(stage, "devices"), "device", "devices"), render::text_at(stage, "state")));
  });
  tell_arms(session, told);
  each("gates", [&](json::value const& gate) { tell_gate(session, gate); });
  each("strata", [&](json::value const& stratum) {
    if (render::text_at(stratum, "quarantined") == "true") line(fmt::format("stratum {} is quarantined: it alone has shown harm, and is told nothing more", render::text_at(stratum, "stratum")));
  });
  each("failures", [&](json::value const& device) {
    for (auto const& text : render::failure_lines(device)) session.data(text + "\n");
  });
  if (auto const blockers = render::joined(render::member(told, "blocked_by")); !blockers.empty()) line("devices of the stage are held by rollout " + blockers);
  each("history", [&](json::value const& one) {
    line(fmt::format("{} {}: {}", render::text_at(one, "time"), render::text_at(one, "decision"), render::text_at(one, "reason")));
  });
}

Result<int> explain_rollout(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const told, api->get(Route("/rollouts/{}/explain", {arguments.text("ID")})));
  if (session.for_people()) tell_explanation(session, told);
  else if (session.format() == Format::name) session.data(arguments.text("ID") + "\n");
  else show_json(session, told);
  return 0;
}

Result<int> rollout_devices(Session& session, Arguments const& arguments) {
  Route route("/rollouts/{}/devices", {arguments.text("ID")});
  route.with("state", arguments.text("state")).with("stage", arguments.text("stage"));
  return show_list(session, arguments, route, rollout_device_shape());
}

}  // namespace

std::vector<Command> const& rollout_commands() {
  using enum Option::Kind;
  static Option const id{argument, "ID", "", "the rollout"};
  static std::vector<Option> const target{
      {value, "--release", "M@V", "what to roll out", true},
      {flag, "--all", "", "to every device, instead of -l"},
      {value, "--policy", "FILE|PRESET", "stages and gates: a file, or cautious, standard, fast, small-fleet", true},
      {value, "--after", "ID", "starts when that rollout ended"},
      {value, "--supersede", "ID", "ends that rollout and takes its place"},
  };
  static std::vector<Command> const rows = [] {
    auto create = target, plan = target;
    plan.push_back({value, "--uplink", "RATE", "how long the bytes take over a link such as 1Mbit/s"});
    create.push_back({flag, "--start", "", "start it at once"});
    return std::vector<Command>{
        {"rollout plan", "what a rollout would do, before anything moves", "rollout plan --release reader@2.0.0 -l site=lab --policy policy.yaml --uplink 10Mbit/s",
         plan_rollout, plan, true},
        {"rollout create", "make a rollout", "rollout create --release reader@2.0.0 --all --policy standard --start -o name", create_rollout, create, true,
         true},
        {"rollout list",
         "rollouts, newest first",
         "rollout list --state running",
         list_rollouts,
         {{value, "--model", "M", "only those of this model"},
          {value,
           "--state",
           "STATE",
           "only those in this state",
           false,
           {"draft", "awaiting_approval", "running", "paused", "completed", "rolling_back", "rolled_back", "aborted"}},
          limit_option()}},
        {"rollout get", "one rollout as it stands", "rollout get r_01J", get_rollout, {id}},
        {"rollout explain", "every verdict in words; with -o wide in numbers, too", "rollout explain r_01J", explain_rollout, {id}},
        {"rollout devices",
         "devices of a rollout and how they fare",
         "rollout devices r_01J --state failed",
         rollout_devices,
         {id, {value, "--state", "STATE", "only those in this state"}, {value, "--stage", "N", "only those of this stage"}, limit_option()}},
    };
  }();
  return rows;
}

}  // namespace fleet::cli
