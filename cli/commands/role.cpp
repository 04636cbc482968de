#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kCaBytesMax = 1024 * 1024;

Shape const& role_shape() {
  static Shape const shape{"role",
                           "name",
                           {{"NAME", "name"},
                            {"MAY", "permissions", Form::list},
                            {"ISSUER", "issuer"},
                            {"REPOSITORY", "repository"},
                            {"REF", "ref"},
                            {"REF PREFIX", "ref_prefix"},
                            {"MODEL", "model"},
                            {"SELECTOR", "selector"},
                            {"AUDIENCE", "audience", Form::text, true},
                            {"EXPIRES IN", "expires_in", Form::text, true},
                            {"BY", "created_by", Form::text, true}}};
  return shape;
}

Result<int> create_role(Session& session, Arguments const& arguments) {
  json::object body{{"name", arguments.text("NAME")}};
  for (auto const* const name : {"role", "model", "issuer", "audience", "repository", "ref"})
    if (arguments.has(name)) body[name] = arguments.text(name);
  for (auto const& [flag, name] :
       {std::pair{"ref-prefix", "ref_prefix"}, std::pair{"repository-claim", "repository_claim"}, std::pair{"expires", "expires_in"}})
    if (arguments.has(flag)) body[name] = arguments.text(flag);
  if (!session.selector().empty()) body["selector"] = session.selector();
  FLEET_TRY(auto const ca, session.around().fs.read(arguments.text("issuer-ca"), kCaBytesMax));
  body["issuer_ca"] = ca;
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/roles"), std::move(body), arguments.text("idempotency-key")));
  FLEET_TRY(auto const role, answer.json());
  return show_done(session, role, role_shape(), "role " + render::text_at(role, "name") + " is bound to " + render::text_at(role, "repository"));
}

Result<int> list_roles(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/roles"), role_shape()); }
Result<int> get_role(Session& session, Arguments const& arguments) { return show(session, Route("/roles/{}", {arguments.text("NAME")}), role_shape()); }

Result<int> delete_role(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  FLEET_CHECK(session.confirm("This deletes the role " + name + " and revokes the tokens it gave."));
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(api->send(net::Method::del, Route("/roles/{}", {name}).target()));
  return show_gone(session, name, "role " + name + " is gone, and the tokens it gave are worthless");
}

/// The identity token: of the file that the flag names, else of FLEETCTL_OIDC_TOKEN_FILE, else FLEETCTL_OIDC_TOKEN.
Result<std::string> identity_token(Session& session, Arguments const& arguments) {
  auto const variable = [&](char const* name) { return session.around().environment(name).value_or(""); };
  auto const file = arguments.text("oidc-token-file", variable("FLEETCTL_OIDC_TOKEN_FILE"));
  if (!file.empty()) {
    FLEET_TRY(auto text, session.around().fs.read(file, 64 * 1024));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
  }
  if (auto token = variable("FLEETCTL_OIDC_TOKEN"); !token.empty()) return token;
  return Error{Kind::bad_input, "no_identity_token", "no identity token was given", "--oidc-token-file FILE, FLEETCTL_OIDC_TOKEN_FILE or FLEETCTL_OIDC_TOKEN"};
}

Result<int> exchange(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const token, identity_token(session, arguments));
  FLEET_TRY(auto settings, session.settings());
  settings.token = settings.token_file = {};  // it is the one to come
  FLEET_TRY(auto api, Api::create(settings, session.around(), session.timeout().value_or(Api::kTimeout), [&](std::string_view text) { session.say(text); }));
  json::object const body{{"role", arguments.text("role")}, {"token", token}};
  if (session.timeout()) api.set_patience(*session.timeout());
  FLEET_TRY(auto const answered, api.post(Route("/tokens:exchange"), body));
  FLEET_TRY(auto const given, answered.json());
  auto const secret = render::text_at(given, "secret");
  if (!arguments.has("to")) {
    if (!session.for_people()) return show_object(session, given, token_shape());
    session.data(render::safe_text(secret) + "\n");
  } else {
    FLEET_CHECK(session.around().fs.replace(arguments.text("to"), secret + "\n", 0600));
  }
  session.say("a token of role " + render::text_at(given, "role") + " until " + render::text_at(given, "expires_at"));
  return 0;
}

}  // namespace

std::vector<Command> const& role_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"auth exchange",
       "a short-lived token for the identity token of a CI system (OpenID Connect)",
       "auth exchange --role ci --oidc-token-file id.jwt --to ci.token",
       exchange,
       {{value, "--role", "NAME", "the bound role", true},
        {value, "--oidc-token-file", "FILE", "the identity token (also FLEETCTL_OIDC_TOKEN_FILE, FLEETCTL_OIDC_TOKEN)"},
        {value, "--to", "FILE", "where the token goes, readable by its owner alone (default: printed)"}}},
      {"role create",
       "what a CI system's identity token must say, and what it is good for",
       "role create ci --role publisher --model reader --issuer https://token.actions.githubusercontent.com "
       "--issuer-ca /etc/ssl/certs/ca-certificates.crt --audience https://fleet.example.com --repository acme/reader --ref refs/heads/main",
       create_role,
       {{argument, "NAME", "", "what `auth exchange --role` names"},
        {value, "--role", "R", "viewer, operator, publisher or approver", true, {"viewer", "operator", "publisher", "approver"}},
        {value, "--model", "M", "only for this model"},
        {value, "--issuer", "URL", "`iss`, exactly", true},
        {value, "--issuer-ca", "FILE", "certificates that the issuer's TLS is trusted by", true},
        {value, "--audience", "TEXT", "`aud`, exactly", true},
        {value, "--repository", "NAME", "`repository`, exactly", true},
        {value, "--repository-claim", "NAME", "how the issuer calls it", false, {"repository", "project_path"}},
        {value, "--ref", "REF", "`ref`, exactly"},
        {value, "--ref-prefix", "TEXT", "instead: whatever `ref` begins so"},
        {value, "--expires", "TIME", "how long the tokens are good, 1m to 6h (default 15m)"}},
       true,
       true},
      {"role list", "roles and what they may; those bound to CI systems, too", "role list -o wide", list_roles, {limit_option()}},
      {"role get", "one bound role", "role get ci", get_role, {{argument, "NAME", "", "the bound role"}}},
      {"role delete", "remove a bound role and revoke the tokens it gave", "role delete ci --yes", delete_role, {{argument, "NAME", "", "the bound role"}}},
  };
  return rows;
}

}  // namespace fleet::cli
