#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Result<int> create_token(Session& session, Arguments const& arguments) {
  json::object body{{"name", arguments.text("NAME")}, {"role", arguments.text("role")}};
  if (arguments.has("model")) body["model"] = arguments.text("model");
  if (arguments.has("user")) body["user"] = arguments.text("user");
  if (!session.selector().empty()) body["selector"] = session.selector();
  if (arguments.has("expires")) {
    FLEET_CHECK(parse_duration(arguments.text("expires")));
    body["expires_in"] = arguments.text("expires");
  }
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/tokens"), std::move(body), arguments.text("idempotency-key")));
  FLEET_TRY(auto const token, answer.json());
  if (!session.for_people()) return show_object(session, token, token_shape());
  session.data(render::safe_text(render::text_at(token, "secret")) + "\n");
  session.say("token " + render::text_at(token, "id") + " (" + render::text_at(token, "role") + "): its secret is shown this once");
  return 0;
}

Result<int> list_tokens(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/tokens"), token_shape()); }

Result<int> revoke_token(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This revokes the token " + id + "."));
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(api->send(net::Method::del, Route("/tokens/{}", {id}).target()));
  return show_gone(session, id, "token " + id + " is revoked");
}

}  // namespace

std::vector<Command> const& token_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"token create",
       "a token for a person or CI; prints its secret once",
       "token create ci --role publisher --model reader --expires 90d > ci.token",
       create_token,
       {{argument, "NAME", "", "whose it is, for the audit log"},
        {value, "--role", "R", "viewer, operator, publisher, approver or admin", true, {"viewer", "operator", "publisher", "approver", "admin"}},
        {value, "--model", "M", "only for this model"},
        {value, "--user", "NAME", "who holds it: all tokens of one user are one person to approvals and the audit log"},
        {value, "--expires", "TIME", "good for so long, such as 90d"}},
       true,
       true},
      {"token list", "tokens, without their secrets", "token list", list_tokens, {limit_option()}},
      {"token revoke", "make a token worthless", "token revoke tok-01J --yes", revoke_token, {{argument, "ID", "", "the token's id"}}},
  };
  return rows;
}

}  // namespace fleet::cli
