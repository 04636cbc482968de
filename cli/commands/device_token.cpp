#include "cli/args/refs.hpp"
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

Result<int> create_tokens(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const count, parse_count("--count", arguments.text("count", "1"), 1));
  FLEET_CHECK(parse_duration(arguments.text("expires", "24h")));
  json::object body{{"count", count}, {"expires_in", arguments.text("expires", "24h")}};
  if (arguments.has("id")) body["id"] = arguments.text("id");
  if (arguments.has("hardware")) body["hardware"] = arguments.text("hardware");
  json::object labels;
  for (auto const& text : arguments.texts("label")) {
    FLEET_TRY(auto const pair, parse_pair("--label", text));
    labels[pair.first] = pair.second;
  }
  if (!labels.empty()) body["labels"] = std::move(labels);
  if (arguments.has("cache")) body["cache"] = true;
  if (auto const models = arguments.texts("model"); !models.empty()) body["models"] = json::array(models.begin(), models.end());
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/device-tokens"), std::move(body), arguments.text("idempotency-key")));
  FLEET_TRY(auto const made, answer.json());
  if (session.format() == Format::json) {
    show_json(session, made);
    return 0;
  }
  auto const* items = render::member(made, "items").if_array();
  if (items == nullptr) return Error{Kind::internal, "bad_answer", "POST /device-tokens: expected a list with `items`"};
  if (session.for_people()) {
    for (auto const& item : *items) session.data(render::safe_text(render::text_at(item, "secret")) + "\n");
    session.say(fmt::format("{} token(s), shown once, good until {}", items->size(), items->empty() ? "-" : render::text_at(items->front(), "expires_at")));
    return 0;
  }
  ListPrinter printer(session, device_token_shape());
  for (auto const& item : *items) printer.add(item);
  return 0;
}

Result<int> list_tokens(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/device-tokens"), device_token_shape()); }

Result<int> revoke_token(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This revokes the device token " + id + "."));
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(api->send(net::Method::del, Route("/device-tokens/{}", {id}).target()));
  return show_gone(session, id, "device token " + id + " is revoked");
}

}  // namespace

std::vector<Command> const& device_token_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"device token create",
       "tokens to join with, one secret a line",
       "device token create --count 20 --label site=lab > tokens.txt",
       create_tokens,
       {{value, "--count", "N", "how many (default 1)"},
        {value, "--expires", "TIME", "good for so long (default 24h)"},
        {value, "--id", "ID", "only for this device"},
        {value, "--hardware", "H", "only for this hardware"},
        {values, "--label", "k=v", "what the device gets, again and again"},
        {flag, "--cache", "", "for a cache: it reads objects for others and is told nothing"},
        {values, "--model", "M", "with --cache: of this model alone, again and again"}},
       false,
       true},
      {"device token list", "tokens that devices may join with", "device token list", list_tokens, {limit_option()}},
      {"device token revoke", "make a token worthless", "device token revoke dt-01J --yes", revoke_token, {{argument, "ID", "", "the token's id"}}},
  };
  return rows;
}

}  // namespace fleet::cli
