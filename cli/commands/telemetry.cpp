#include "cli/args/refs.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <map>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr Millis kFollowEvery{1'000};
/// A server that is away comes back: an upgrade, a night's maintenance.
constexpr Millis kFollowPatience = std::chrono::hours{24};

/// A step of a series: what was measured in it, and how many samples counted for nothing.
struct Step {
  json::value value = nullptr, flagged = 0;
};
template <class Take>
void each_step(json::value const& answer, Take const& take) {
  auto const* const series = render::member(answer, "series").if_array();
  if (series == nullptr) return;
  for (auto const& one : *series) {
    std::map<std::string, Step> steps;
    auto const read = [&](std::string_view member, json::value Step::*into) {
      if (auto const* points = render::member(one, member).if_array())
        for (auto const& point : *points)
          if (auto const* pair = point.if_array(); pair != nullptr && pair->size() == 2) steps[render::text_of(pair->at(0))].*into = pair->at(1);
    };
    read("points", &Step::value);
    read("flagged", &Step::flagged);
    for (auto const& [time, step] : steps) take(render::member(one, "labels"), time, step);
  }
}

void tell_series(Session& session, json::value const& answer) {
  render::Table table{{{"SERIES"}, {"TIME", false, true}, {"VALUE", true, true}}, {}};
  bool any = false;
  each_step(answer, [&](json::value const&, std::string const&, Step const& step) { any = any || step.flagged != 0; });
  if (any) table.columns.push_back({"FLAGGED", true, true});
  each_step(answer, [&](json::value const& labels, std::string const& time, Step const& step) {
    auto const of = render::joined(labels);
    table.rows.push_back({{of.empty() ? "all" : of}, {time}, {step.value.is_null() ? "-" : render::text_of(step.value)}});
    if (any) table.rows.back().push_back({render::text_of(step.flagged)});
  });
  if (table.rows.empty()) return session.say("no points");
  session.data(render::draw(table, session.paper()));
}

/// A line a step, for pipelines.
void write_lines(Session& session, json::value const& answer) {
  each_step(answer, [&](json::value const& labels, std::string const& time, Step const& step) {
    json::value const line = json::object{{"time", time},       {"metric", render::member(answer, "metric")}, {"stat", render::member(answer, "stat")}, {"labels", labels},
                                          {"value", step.value}, {"flagged", step.flagged}};
    session.data(render::json_text(line, 0) + "\n");
  });
}

Result<int> query(Session& session, Arguments const& arguments) {
  Route route("/telemetry/query");
  route.with("metric", arguments.text("METRIC"));
  if (arguments.has("release")) {
    FLEET_TRY(auto const release, parse_release(arguments.text("release")));
    route.with("model", release.model).with("version", release.version);
  }
  for (auto const key : {"since", "step"}) {
    if (arguments.has(key)) FLEET_CHECK(parse_duration(arguments.text(key)));
    route.with(key, arguments.text(key));
  }
  route.with("stat", arguments.text("stat")).with("by", arguments.text("by")).with("selector", session.selector());
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->get(route));
  if (session.for_people()) tell_series(session, answer);
  else if (session.format() == Format::jsonl) write_lines(session, answer);
  else if (session.format() == Format::name) session.data(render::safe_text(render::text_at(answer, "metric")) + "\n");
  else show_json(session, answer);
  return 0;
}

Result<int> latest(Session& session, Arguments const& arguments) {
  return show_list(session, arguments, Route("/devices/{}/telemetry", {arguments.text("ID")}), latest_shape());
}

Result<int> metrics(Session& session, Arguments const& arguments) {
  return show_list(session, arguments, Route("/telemetry/metrics").with("model", arguments.text("model")), metric_shape());
}

/// Lines for programs, whatever the format: there is no table of them.
Result<int> features(Session& session, Arguments const& arguments) {
  Route route("/telemetry/features");
  if (arguments.has("release")) {
    FLEET_TRY(auto const release, parse_release(arguments.text("release")));
    route.with("model", release.model).with("version", release.version);
  } else {
    route.with("model", arguments.text("model"));
  }
  route.with("metric", arguments.text("metric"));
  for (auto const key : {"since", "step"}) {
    if (arguments.has(key)) FLEET_CHECK(parse_duration(arguments.text(key)));
    route.with(key, arguments.text(key));
  }
  route.with("selector", session.selector());
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->send(net::Method::get, route.target()));
  session.data(answer.body);
  return 0;
}

void tell_labels(Session& session, json::value const& answer) {
  if (!session.for_people() && session.format() != Format::name) return show_json(session, answer);
  std::string lines;
  if (auto const* names = render::member(answer, "labels").if_array())
    for (auto const& name : *names) lines += render::safe_text(render::text_of(name)) + "\n";
  if (!lines.empty()) return session.data(lines);
  session.say("samples are kept by model, version and hardware, and by no label");
}

Result<int> labels(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  Route const route("/telemetry/labels");
  bool const none = arguments.flag("none");
  if (!none && !arguments.has("LABELS")) {
    FLEET_TRY(auto const answer, api->get(route));
    tell_labels(session, answer);
    return 0;
  }
  if (!none && arguments.text("LABELS").empty()) return Error{Kind::bad_input, "bad_argument", "no label is named", "--none keeps samples by none"};
  if (none && arguments.has("LABELS")) return Error{Kind::bad_input, "bad_argument", "labels and --none contradict each other"};
  json::array names;
  auto const given = arguments.text("LABELS");
  for (std::string_view rest = given; !rest.empty();) {
    auto const end = std::min(rest.find(','), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  json::object body{{"labels", std::move(names)}};
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto const before, api->send(net::Method::get, route.target()));
  FLEET_TRY(auto const sent, api->change(net::Method::put, route, body, std::string(before.header("ETag"))));
  FLEET_TRY(auto const answer, sent.json());
  session.say("what devices report from now on is kept by these; what was kept stays as it is");
  tell_labels(session, answer);
  return 0;
}

/// How far events were read: to the one with the id `after`, or past it to where `cursor` says.
struct Position {
  std::string after, cursor;
};

/// Events from `position` on; it moves along. The server leaves out of a page what the token may not see: a page may be empty and lead on all the same.
Result<void> print_events(Session& session, ListPrinter& printer, Position& position) {
  FLEET_TRY(auto* const api, session.api());
  while (true) {
    auto route = Route("/events");
    if (position.cursor.empty()) route.with("after", position.after);
    else route.with("cursor", position.cursor);
    FLEET_TRY(auto const answer, api->send(net::Method::get, route.target(), "", {{"Accept", "application/json"}}));
    FLEET_TRY(auto const page, answer.json());
    auto const* items = render::member(page, "items").if_array();
    if (items == nullptr) return Error{Kind::internal, "bad_answer", "GET /events: expected a list with `items`"};
    for (auto const& event : *items) {
      printer.add(event);
      position = {render::text_at(event, "id"), ""};
    }
    auto const next = render::text_at(page, "next");
    if (next.empty()) return {};
    position.cursor = next;
  }
}

Result<int> events(Session& session, Arguments const& arguments) {
  Position position{arguments.text("after"), ""};
  if (!arguments.flag("follow")) {
    ListPrinter printer(session, event_shape());
    FLEET_CHECK(print_events(session, printer, position));
    printer.finish("");
    return 0;
  }
  if (session.format() != Format::jsonl && session.format() != Format::name)
    return Error{Kind::bad_input, "bad_argument", "--follow never ends: it needs -o jsonl or -o name", "add -o jsonl"};
  ListPrinter printer(session, event_shape());
  FLEET_TRY(auto* const api, session.api());
  api->set_patience(kFollowPatience);
  while (true) {
    FLEET_CHECK(print_events(session, printer, position));
    session.around().console.pause(kFollowEvery);
  }
}

}  // namespace

std::vector<Command> const& telemetry_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"telemetry query",
       "a metric over time",
       "telemetry query accuracy --release reader@2.0.0 -l 'hardware in (cam-a,cam-b)' --by version,hardware --since 24h --step 5m --stat mean",
       query,
       {{argument, "METRIC", "", "its name, such as accuracy"},
        {value, "--release", "M@V", "only from this release"},
        {value, "--by", "KEY,...", "a series for each of these: model, version, hardware, labels that samples are kept by"},
        {value, "--since", "TIME", "from so long ago (default 24h)"},
        {value, "--step", "TIME", "one point for so long (default 5m)"},
        {value, "--stat", "S", "mean, rate, count, p50, p95, or flagged: samples that count for nothing", false, {"mean", "rate", "count", "p50", "p95", "flagged"}}},
       true},
      {"telemetry latest", "what a device measured last, and which of it counts for nothing", "telemetry latest cam-1", latest, {{argument, "ID", "", "the device"}}},
      {"telemetry metrics",
       "what devices measure: names, types, units",
       "telemetry metrics --model reader",
       metrics,
       {{value, "--model", "M", "only of this model"}, limit_option()}},
      {"telemetry labels",
       "the labels by which samples are kept apart, beside model, version and hardware",
       "telemetry labels site,region",
       labels,
       {{optional_argument, "LABELS", "", "between commas: what is reported from now on is kept by these; at most 4"}, {flag, "--none", "", "by none"}}},
      {"telemetry features",
       "windows of all metrics for training, a JSON object a line",
       "telemetry features --release reader@2.0.0 --since 7d --step 1h -l site=lab >features.jsonl",
       features,
       {{value, "--release", "M@V", "only from this release"},
        {value, "--model", "M", "of all releases of this model"},
        {value, "--metric", "NAME,...", "only these"},
        {value, "--since", "TIME", "from so long ago (default 24h)"},
        {value, "--step", "TIME", "one line for so long (default 1h)"}},
       true},
      {"telemetry events",
       "what happened: rollouts, releases, devices",
       "telemetry events --after 120 --follow -o jsonl",
       events,
       {{value, "--after", "ID", "only later ones"}, {flag, "--follow", "", "go on with new ones"}}},
  };
  return rows;
}

}  // namespace fleet::cli
