#include "cli/signing/evidence_flags.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/policy_file.hpp"
#include "cli/args/refs.hpp"
#include "cli/render/json.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <set>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// What a model is set to: its present values with the changes of the command line.
Result<json::object> wanted(Fs& fs, Arguments const& arguments, json::value const& present) {
  json::object body{{"approvals_required", static_cast<std::int64_t>(render::number_at(present, "approvals_required"))}};
  auto const* aliases = render::member(present, "aliases").if_object();
  body["aliases"] = aliases == nullptr ? json::object() : *aliases;
  if (arguments.has("approvals")) {
    FLEET_TRY(body["approvals_required"], parse_count("--approvals", arguments.text("approvals"), 0));
  }
  std::set<std::string> named;
  for (auto const& text : arguments.texts("alias")) {
    FLEET_TRY(auto const change, parse_change("--alias", text));
    if (!named.insert(change.first).second) return Error{Kind::bad_input, "bad_argument", fmt::format("--alias: {} stands there twice", change.first)};
    if (!change.second && !body["aliases"].get_object().contains(change.first))
      return Error{Kind::not_found, "unknown_alias", fmt::format("there is no alias {} to remove", change.first), "fleetctl model get shows those there are"};
    if (change.second) body["aliases"].get_object()[change.first] = *change.second;
    else body["aliases"].get_object().erase(change.first);
  }
  if (arguments.has("protected")) {
    auto const text = arguments.text("protected");
    FLEET_TRY(auto const protection, wire::parse_protection(text == "none" ? std::string_view() : std::string_view(text)));
    body["protected"] = wire::protection_name(protection);
  }
  FLEET_CHECK(set_evidence(fs, arguments, present, body));
  return body;
}

/// Adds, replaces or removes the standing policy of an alias.
Result<void> set_standing(Session& session, Arguments const& arguments, json::value const& present, json::object& body) {
  auto const* const before = render::member(present, "standing").if_array();
  auto const alias = arguments.text("follow"), dropped = arguments.text("unfollow");
  bool const says_devices = !session.selector().empty() || arguments.flag("all");
  if (alias.empty() && (says_devices || arguments.has("policy")))
    return Error{Kind::bad_input, "bad_argument", "-l, --all and --policy go with --follow ALIAS"};
  if (!alias.empty() && (session.selector().empty() != arguments.flag("all") || !arguments.has("policy")))
    return Error{Kind::bad_input, "bad_argument", "--follow wants to know for which devices (either -l SELECTOR or --all) and how: --policy FILE or a preset"};
  json::array standing;
  for (std::size_t i = 0; before != nullptr && i < before->size(); ++i) {
    auto const of = render::text_at((*before)[i], "alias");
    if (of != alias && of != dropped) standing.push_back((*before)[i]);
  }
  if (!dropped.empty() && alias.empty() && (before == nullptr || standing.size() == before->size()))
    return Error{Kind::not_found, "no_standing", "nothing follows the alias " + dropped};
  if (!alias.empty()) {
    FLEET_TRY(auto policy, read_policy(session, arguments.text("policy")));
    standing.push_back(json::object{{"alias", alias}, {"selector", session.selector()}, {"policy", std::move(policy)}});
  }
  body["standing"] = std::move(standing);
  return {};
}

std::string joined_started(json::value const& model) { return render::joined(render::member(model, "started")); }

bool same(json::value const& model, json::object const& body) {
  return render::number_at(model, "approvals_required") == render::number_at(body, "approvals_required") &&
         render::member(model, "aliases") == render::member(body, "aliases") && render::member(model, "signers") == render::member(body, "signers") &&
         render::member(model, "demands") == render::member(body, "demands") && render::text_at(model, "protected") == render::text_at(body, "protected");
}

Result<int> create_model(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  Route const route("/models/{}", {name});
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const body, wanted(session.around().fs, arguments, nullptr));
  if (auto const present = api->get(route)) {
    if (same(*present, body)) return show_done(session, *present, model_shape(), "model " + name + " is there already");
    return Error{Kind::conflict, "model_exists", "model " + name + " exists with other settings", "change them: fleetctl model set " + name};
  } else if (present.error().kind != Kind::not_found) {
    return present.error();
  }
  net::Headers headers{{"Content-Type", "application/json"}};
  if (arguments.has("idempotency-key")) headers.push_back({"Idempotency-Key", arguments.text("idempotency-key")});
  FLEET_TRY(auto const answer, api->send(net::Method::put, route.target(), render::json_text(body, 0), std::move(headers)));
  FLEET_TRY(auto const model, answer.json());
  return show_done(session, model, model_shape(), "model " + name + " is created");
}

Result<int> set_model(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  Route const route("/models/{}", {name});
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const before, api->send(net::Method::get, route.target()));
  FLEET_TRY(auto const present, before.json());
  FLEET_TRY(auto body, wanted(session.around().fs, arguments, present));
  FLEET_CHECK(set_standing(session, arguments, present, body));
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto const answer, api->change(net::Method::put, route, body, std::string(before.header("ETag"))));
  FLEET_TRY(auto const model, answer.json());
  auto const started = joined_started(model);
  return show_done(session, model, model_shape(), "model " + name + " is set" + (started.empty() ? "" : "; started rollout " + started));
}

Result<int> list_models(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/models"), model_shape()); }

Result<int> get_model(Session& session, Arguments const& arguments) { return show(session, Route("/models/{}", {arguments.text("NAME")}), model_shape()); }

}  // namespace

std::vector<Command> const& model_commands() {
  using enum Option::Kind;
  static Option const name{argument, "NAME", "", "the model"};
  static Option const approvals{value, "--approvals", "N", "how many must approve a release before it may roll out"};
  static Option const alias{values, "--alias", "A=VERSION", "a name for a version; A- removes it"};
  static Option const signer{values, "--signer", "NAME=FILE", "who may attest releases: a public key; NAME- removes it"};
  static Option const protection{value, "--protected", "HOW", "encrypt the files of releases to come: disk (devices have them as they are on the disk), memory (in memory alone), none"};
  static Option const demands{value, "--demands", "FILE", "what must be attested of a release (YAML; docs/ci.md), instead of what was demanded"};
  static std::vector<Command> const rows{
      {"model create",
       "a new model, so that releases of it can be published",
       "model create reader --approvals 1",
       create_model,
       {name, approvals, alias, signer, demands, protection},
       false,
       true},
      {"model set",
       "change a model; where an alias moves that a rollout follows, start it",
       "model set reader --approvals 2 --alias stable=1.4.0\nmodel set reader --follow stable -l site=lab --policy standard",
       set_model,
       {name,
        approvals,
        alias,
        signer,
        demands,
        protection,
        {value, "--follow", "ALIAS", "from now on, moving this alias starts a rollout on -l SELECTOR or --all by --policy"},
        {value, "--unfollow", "ALIAS", "moving this alias starts nothing any more"},
        {flag, "--all", "", "with --follow: on all devices"},
        {value, "--policy", "FILE", "with --follow: a policy or the name of a preset"}},
       true},
      {"model list", "models", "model list", list_models, {limit_option()}},
      {"model get", "one model", "model get reader -o json", get_model, {name}},
  };
  return rows;
}

}  // namespace fleet::cli
