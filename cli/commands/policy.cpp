#include "cli/args/refs.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/policy_file.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// Devices are looked at only where somebody says which.
Result<json::object> lint_body(Session& session, Arguments const& arguments) {
  bool const selected = !session.selector().empty();
  if (selected && arguments.flag("all")) return Error{Kind::bad_input, "bad_argument", "say which devices: -l SELECTOR or --all, not both", "-l site=lab"};
  json::object body;
  FLEET_TRY(body["policy"], read_policy(session, arguments.text("FILE")));
  if (selected || arguments.flag("all") || arguments.has("release")) body["selector"] = session.selector();
  if (arguments.has("release")) {
    FLEET_TRY(auto const release, parse_release(arguments.text("release")));
    body["model"] = release.model;
    body["version"] = release.version;
  }
  return body;
}

/// In the order of the file's lines, as its mistakes are told.
void tell_findings(Session& session, json::array const& findings) {
  Error found{Kind::bad_input, "findings", ""};
  for (auto const& one : findings) {
    auto const hint = render::text_at(one, "hint");
    found.errors.push_back({render::text_at(one, "pointer"), render::text_at(one, "detail") + (hint.empty() ? "" : "; " + hint)});
  }
  found = session.located(std::move(found));
  for (auto const& one : found.errors) session.data(render::safe_text(fmt::format("{}: {}", one.pointer, one.detail)) + "\n");
}

/// The server reads policies: what it says of one is what a rollout would meet. What it refuses is an error; what only looks like a mistake is told,
/// and is a failure with --strict.
Result<int> lint(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const body, lint_body(session, arguments));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/policies:lint"), body));
  FLEET_TRY(auto const told, answer.json());
  auto const* const findings = render::member(told, "findings").if_array();
  auto const count = findings == nullptr ? 0 : findings->size();
  int const code = count > 0 && arguments.flag("strict") ? 1 : 0;
  if (!session.for_people()) {
    show_json(session, told);
    return code;
  }
  if (count > 0) tell_findings(session, *findings);
  auto const* const stages = render::member(render::member(told, "policy"), "stages").if_array();
  auto const devices = render::text_at(told, "devices");
  session.data(render::safe_text(fmt::format("{} can be used{}{}: {}", arguments.text("FILE"), stages == nullptr ? "" : fmt::format(", {} stages", stages->size()),
                                             devices.empty() ? "" : fmt::format(" on {} devices", devices),
                                             count == 0 ? "nothing looks wrong" : fmt::format("{} {} to look at", count, count == 1 ? "place" : "places"))) +
               "\n");
  return code;
}

Result<int> preset(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/policies:preset"), json::object{{"name", arguments.text("NAME")}, {"selector", session.selector()}}));
  FLEET_TRY(auto const policy, answer.json());
  if (session.format() == Format::name) session.data(arguments.text("NAME") + "\n");
  else show_json(session, policy);
  return 0;
}

}  // namespace

std::vector<Command> const& policy_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"policy lint",
       "is a policy sound? every mistake, before a rollout meets it",
       "policy lint policy.yaml -l site=lab --release reader@2.0.0",
       lint,
       {{argument, "FILE", "", "YAML or JSON, or a preset"},
        {flag, "--all", "", "look at every device, instead of those of -l"},
        {value, "--release", "M@V", "look at what this release asks of devices, and at the metrics of its model"},
        {flag, "--strict", "", "exit 1 where something looks like a mistake"}},
       true},
      {"policy preset",
       "what a preset becomes for this fleet, as a policy to start from",
       "policy preset standard -l site=lab > policy.json",
       preset,
       {{argument, "NAME", "", "cautious, standard, fast, small-fleet"}},
       true},
  };
  return rows;
}

}  // namespace fleet::cli
