#include "cli/commands/trust.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Shape const& role_shape() {
  static Shape const shape{"role",
                           "role",
                           {{"ROLE", "role"},
                            {"VERSION", "version", Form::text, false, true},
                            {"EXPIRES", "expires", Form::time},
                            {"KEY", "held"},
                            {"THRESHOLD", "threshold", Form::text, false, true},
                            {"STATE", "state"},
                            {"KEYS", "keys", Form::text, true}}};
  return shape;
}

}  // namespace

Result<int> show_trust(Session& session, json::value const& trust) {
  if (!session.for_people() && session.format() != Format::name) {
    show_json(session, trust);
    return 0;
  }
  ListPrinter printer(session, role_shape());
  if (auto const* const roles = render::member(trust, "roles").if_array())
    for (auto const& role : *roles) printer.add(role);
  printer.finish("");
  session.say(render::text_at(trust, "text"));
  return 0;
}

namespace {

Result<int> status(Session& session, Arguments const&) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const trust, api->get(Route("/trust")));
  return show_trust(session, trust);
}

/// As it is: its bytes are what agents and other TUF clients pin.
Result<int> export_root(Session& session, Arguments const&) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const trust, api->get(Route("/trust")));
  auto const* const roles = render::member(trust, "roles").if_array();
  if (roles == nullptr) return Error{Kind::internal, "bad_answer", "GET /trust: expected `roles`"};
  for (auto const& role : *roles) {
    if (render::text_at(role, "role") != "root") continue;
    FLEET_TRY(auto const file, api->send(net::Method::get, fmt::format("/tuf/{}.root.json", render::text_at(role, "version"))));
    session.data(session.around().console.out_is_terminal() ? render::safe_lines(file.body) : file.body);
    return 0;
  }
  return Error{Kind::not_found, "no_metadata", "the server has no root"};
}

Result<int> rotate(Session& session, Arguments const& arguments) {
  auto const role = arguments.text("ROLE");
  FLEET_CHECK(session.confirm(fmt::format("This makes a new key for role {} and forgets the old one.", role)));
  FLEET_TRY(auto* const api, session.api());
  json::object body{{"role", role}};
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto const answer, api->post(Route("/trust:rotate"), body));
  FLEET_TRY(auto const trust, answer.json());
  return show_trust(session, trust);
}

}  // namespace

std::vector<Command> const& trust_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"trust status", "who holds the signing keys, and until when what they signed is good", "trust status", status},
      {"trust export-root", "the newest root of the release repository, to pin at enrolment", "trust export-root > root.json", export_root},
      {"trust rotate",
       "a new key for a role whose key the server holds",
       "trust rotate m-reader --reason 'a backup was lost' --yes",
       rotate,
       {{argument, "ROLE", "", "root, targets, snapshot, timestamp, m-MODEL or directive-root"}},
       false,
       false,
       true},
  };
  return rows;
}

}  // namespace fleet::cli
