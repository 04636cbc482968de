#include "cli/args/id_list.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr Millis kListTime{120'000};  ///< a hundred thousand ids are written in pieces, behind everybody else

/// What the command line says a group is: `-l SELECTOR`, or the ids of `--from`.
Result<json::object> wanted(Session& session, Arguments const& arguments) {
  json::object body;
  bool const listed = arguments.has("from");
  if (listed == !session.selector().empty()) return Error{Kind::bad_input, "bad_argument", "a group is a selector or a list: give either -l SELECTOR or --from FILE"};
  if (!session.reason().empty()) body["reason"] = session.reason();
  if (!listed) {
    body["selector"] = session.selector();
    return body;
  }
  auto const file = arguments.text("from");
  FLEET_TRY(auto const text, session.around().fs.read(file == "-" ? "/dev/stdin" : file, kIdListBytesMax));
  FLEET_TRY(auto const ids, read_ids(text, file == "-" ? "standard input" : file));
  body["devices"] = json::array(ids.begin(), ids.end());
  return body;
}

std::string said(json::value const& group, std::string_view done) {
  auto const name = render::text_at(group, "name");
  auto const selector = render::text_at(group, "selector");
  if (!selector.empty()) return fmt::format("group {} is {}: {}", name, done, selector);
  auto out = fmt::format("group {} is {}: {} ids", name, done, render::number_at(group, "devices"));
  auto const unknown = render::number_at(group, "unknown");
  if (unknown > 0) out += fmt::format("; {} of no device yet ({}{})", unknown, render::joined(render::member(group, "unknown_ids")), unknown > 10 ? ", ..." : "");
  return out;
}

Result<int> create_group(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto body, wanted(session, arguments));
  body["name"] = arguments.text("NAME");
  FLEET_TRY(auto* const api, session.api(session.timeout().value_or(kListTime)));
  FLEET_TRY(auto const answer, api->post(Route("/groups"), body, arguments.text("idempotency-key")));
  FLEET_TRY(auto const group, answer.json());
  return show_done(session, group, group_shape(), said(group, "created"));
}

Result<int> set_group(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const body, wanted(session, arguments));
  Route const route("/groups/{}", {arguments.text("NAME")});
  FLEET_TRY(auto* const api, session.api(session.timeout().value_or(kListTime)));
  FLEET_TRY(auto const before, api->send(net::Method::get, route.target()));
  FLEET_TRY(auto const answer, api->change(net::Method::put, route, body, std::string(before.header("ETag"))));
  FLEET_TRY(auto const group, answer.json());
  return show_done(session, group, group_shape(), said(group, "set"));
}

Result<int> list_groups(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/groups"), group_shape()); }

Result<int> get_group(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  if (!arguments.flag("ids")) return show(session, Route("/groups/{}", {name}), group_shape());
  return show_list(session, arguments, Route("/groups/{}/devices", {name}), group_id_shape());
}

Result<int> delete_group(Session& session, Arguments const& arguments) {
  auto const name = arguments.text("NAME");
  FLEET_CHECK(session.confirm("This deletes the group " + name + "; its devices stay."));
  FLEET_TRY(auto* const api, session.api());
  json::object body;
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_CHECK(api->send(net::Method::del, Route("/groups/{}", {name}).target(), render::json_text(body, 0), {{"Content-Type", "application/json"}}));
  return show_gone(session, name, "group " + name + " is deleted");
}

}  // namespace

std::vector<Command> const& group_commands() {
  using enum Option::Kind;
  static Option const name{argument, "NAME", "", "the group"};
  static Option const from{value, "--from", "FILE", "instead of a selector, a list of ids: CSV with a header, or JSON lines; `-`: standard input"};
  static std::vector<Command> const rows{
      {"group create", "a name for devices: a selector, or a list of ids", "group create night-shift --from ids.csv", create_group, {name, from}, true, true},
      {"group set", "what a group is from now on, instead of what it was", "group set berlin -l site=berlin,hardware=cam-a", set_group, {name, from}, true},
      {"group list", "groups", "group list", list_groups, {limit_option()}},
      {"group get",
       "one group; its devices are device list -l group=NAME",
       "group get night-shift --ids -o jsonl",
       get_group,
       {name, {flag, "--ids", "", "the ids of its list, also of devices that do not exist yet"}, limit_option()}},
      {"group delete", "forget a name that nothing uses", "group delete night-shift --yes", delete_group, {name}},
  };
  return rows;
}

}  // namespace fleet::cli
