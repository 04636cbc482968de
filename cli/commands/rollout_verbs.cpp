#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/args/refs.hpp"
#include "cli/render/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// POSTs the verb and tells the state that the rollout is in then.
Result<int> do_verb(Session& session, std::string const& id, std::string_view verb, json::object body) {
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/rollouts/{}:" + std::string(verb), {id}), std::move(body)));
  FLEET_TRY(auto const rollout, answer.json());
  return show_done(session, rollout, rollout_shape(), fmt::format("rollout {}: {}", id, render::text_at(rollout, "state")));
}

Result<int> start(Session& session, Arguments const& arguments) { return do_verb(session, arguments.text("ID"), "start", {}); }
Result<int> approve(Session& session, Arguments const& arguments) { return do_verb(session, arguments.text("ID"), "approve", {}); }
Result<int> pause(Session& session, Arguments const& arguments) { return do_verb(session, arguments.text("ID"), "pause", {}); }
Result<int> resume(Session& session, Arguments const& arguments) { return do_verb(session, arguments.text("ID"), "resume", {}); }

/// The stage that the caller names, else the one that the rollout is in: a request that is sent twice skips one stage.
Result<std::int64_t> stage_to_skip(Session& session, std::string const& id, Arguments const& arguments) {
  if (arguments.has("stage")) return parse_count("--stage", arguments.text("stage"), 1);
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const rollout, api->get(Route("/rollouts/{}", {id})));
  return std::max<std::int64_t>(1, std::llround(render::number_at(rollout, "stage.index")));
}

Result<int> promote(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  json::object body;
  if (arguments.flag("full")) {
    if (session.reason().empty())
      return Error{Kind::bad_input, "reason_required", "`fleetctl rollout promote --full` needs a reason", "add --reason TEXT; it is kept in the audit log"};
    FLEET_CHECK(session.confirm("This takes rollout " + id + " to every device at once, without bake and evidence."));
    body["full"] = true;
    return do_verb(session, id, "promote", std::move(body));
  }
  FLEET_TRY(body["stage"], stage_to_skip(session, id, arguments));
  return do_verb(session, id, "promote", std::move(body));
}

Result<int> abort(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This ends rollout " + id + " for good; devices that switched keep the release."));
  return do_verb(session, id, "abort", {});
}

Result<int> rollback(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This ends rollout " + id + " and takes every device that switched back to its own previous version."));
  return do_verb(session, id, "rollback", {});
}

Result<int> retry(Session& session, Arguments const& arguments) {
  json::object body;
  if (arguments.has("device")) body["device"] = arguments.text("device");
  return do_verb(session, arguments.text("ID"), "retry", std::move(body));
}

}  // namespace

std::vector<Command> const& rollout_verb_commands() {
  using enum Option::Kind;
  static Option const id{argument, "ID", "", "the rollout"};
  static std::vector<Command> const rows{
      {"rollout start", "start a draft", "rollout start r_01J", start, {id}},
      {"rollout approve",
       "sign off a rollout that waits for approval",
       "rollout approve r_01J --reason \"numbers of stage 1 look right\"",
       approve,
       {id},
       false,
       false,
       true},
      {"rollout pause", "nothing new starts; what switched finishes its probation", "rollout pause r_01J --reason \"support calls\"", pause, {id}},
      {"rollout resume", "go on after a pause", "rollout resume r_01J", resume, {id}},
      {"rollout promote",
       "skip bake and evidence of one stage, or of all",
       "rollout promote r_01J --stage 1\nrollout promote r_01J --full --reason \"security fix\" --yes",
       promote,
       {id, {value, "--stage", "N", "the stage to skip (default the current one): a repeat skips no other"}, {flag, "--full", "", "of all stages; harm gates stay armed"}}},
      {"rollout abort", "end it for good; devices that switched keep the release", "rollout abort r_01J --reason \"wrong selector\" --yes", abort, {id}},
      {"rollout rollback",
       "end it; each exposed device returns to its own previous version",
       "rollout rollback r_01J --reason \"wrong readings\" --yes",
       rollback,
       {id}},
      {"rollout retry", "failed devices try again, staged", "rollout retry r_01J --device cam-1", retry, {id, {value, "--device", "ID", "this device only"}}},
  };
  return rows;
}

}  // namespace fleet::cli
