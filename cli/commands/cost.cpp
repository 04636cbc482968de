#include "cli/args/refs.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/money.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <charconv>

namespace fleet::cli {
namespace json = boost::json;
namespace {

std::string size_at(json::value const& from, std::string_view key) { return render::size_text(static_cast<std::uint64_t>(std::max(0.0, render::number_at(from, key)))); }

/// An estimate.
std::string about(json::value const& from) { return render::member(from, "out_bytes").is_null() ? std::string("not known") : "~" + size_at(from, "out_bytes"); }

void line(Session& session, std::string const& text) { session.data(render::safe_text(text) + "\n"); }

template <class F>
void each(json::value const& of, std::string_view key, F const& tell) {
  if (auto const* const array = render::member(of, key).if_array())
    for (auto const& one : *array) tell(one);
}

/// Measured beside estimated, and what a month of both comes to.
void tell_models(Session& session, json::value const& cost) {
  render::Table table;
  table.columns = {{"MODEL", false, true}, {"RELEASES", true}, {"STORED", true}, {"PREPARED", true}, {"ROLLOUTS", true}, {"OUT IN 30 DAYS", true}};
  bool const priced = render::member(cost, "prices").is_object();
  if (priced) table.columns.push_back({"A MONTH", true});
  each(cost, "models", [&](json::value const& one) {
    table.rows.push_back({{render::text_at(one, "model")},
                          {render::text_at(one, "releases")},
                          {size_at(one, "bytes")},
                          {size_at(one, "prepared_bytes")},
                          {render::text_at(one, "rollouts")},
                          {about(one)}});
    if (priced) table.rows.back().push_back({render::total_text(render::member(one, "money"))});
  });
  if (table.rows.empty()) return session.say("no releases");
  session.data(render::draw(table, session.paper()));
}

void tell_rollouts(Session& session, json::value const& cost) {
  render::Table table{{{"ROLLOUT", false, true}, {"RELEASE"}, {"STATE"}, {"TOLD", true}, {"OUT", true}, {"AS IT IS", true}}, {}};
  bool const priced = render::member(cost, "prices").is_object();
  if (priced) table.columns.push_back({"EGRESS", true});
  each(cost, "rollouts", [&](json::value const& one) {
    table.rows.push_back({{render::text_at(one, "id")},
                          {render::text_at(one, "model") + "@" + render::text_at(one, "version")},
                          {render::text_at(one, "state"), render::tone_of(render::text_at(one, "state"))},
                          {render::text_at(one, "told")},
                          {about(one)},
                          {size_at(one, "as_it_is_bytes")}});
    if (priced) table.rows.back().push_back({render::total_text(render::member(one, "money"))});
  });
  if (table.rows.empty()) return;
  session.data("\n" + render::draw(table, session.paper()));
  if (render::text_at(cost, "cut") == "true") session.say("these are the newest hundred; there are more");
}

void tell_store(Session& session, json::value const& cost) {
  auto const& store = render::member(cost, "store");
  if (store.is_object())
    line(session, fmt::format("stored, each file once: {} in {} files ({} of no release), {} prepared for the way, {} of uploads under way, {} about to go", size_at(store, "bytes"),
                              render::text_at(store, "files"), size_at(store, "unnamed_bytes"), size_at(store, "prepared_bytes"), size_at(store, "uploading_bytes"),
                              size_at(store, "leaving_bytes")));
  auto const& requests = render::member(cost, "requests");
  if (requests.is_object())
    line(session, fmt::format("requests: ~{:.0f} polls and at most ~{:.0f} reports a day, of {} devices that are online", render::number_at(requests, "polls_a_day"),
                              render::number_at(requests, "reports_a_day"), render::text_at(requests, "devices")));
  if (render::member(cost, "sent_bytes").is_number()) line(session, fmt::format("sent: {} of files since the server started", size_at(cost, "sent_bytes")));
}

/// What would go, and why the rest stays.
void tell_keep(Session& session, json::value const& cost, std::string const& newest) {
  render::Table table{{{"MODEL", false, true}, {"STAY", true}, {"GO", true}, {"LEFT", true}, {"FREED", true}, {"STAY BECAUSE"}, {"WHICH GO"}}, {}};
  each(cost, "models", [&](json::value const& one) {
    auto const& keep = render::member(one, "keep");
    if (!keep.is_object()) return;
    auto gone = render::joined(render::member(keep, "gone_versions"));
    auto const* const shown = render::member(keep, "gone_versions").if_array();
    if (shown != nullptr && static_cast<double>(shown->size()) < render::number_at(keep, "gone")) gone += ",...";
    table.rows.push_back({{render::text_at(one, "model")},
                          {render::text_at(keep, "releases")},
                          {render::text_at(keep, "gone")},
                          {size_at(keep, "bytes")},
                          {size_at(keep, "gone_bytes")},
                          {render::joined(render::member(keep, "because"))},
                          {gone}});
  });
  if (table.rows.empty()) return;
  session.data("\n" + fmt::format("if of each model the newest {} were kept, beside those that something needs:\n", newest) + render::draw(table, session.paper()));
  auto const& all = render::member(cost, "keep");
  if (all.is_object()) {
    auto const saves = render::total_text(render::member(all, "saves"));
    line(session, fmt::format("all models: {} releases would go, {} of files and {} prepared from them{}", render::text_at(all, "gone"), size_at(all, "gone_bytes"),
                              size_at(all, "prepared_gone_bytes"), saves.empty() ? "" : fmt::format(": {} a month less", saves)));
  }
  line(session, "nothing was deleted: this is an answer");
}

/// Of one rollout: who fetches what.
void tell_devices(Session& session, json::value const& cost) {
  each(cost, "rollouts", [&](json::value const& rollout) {
    each(rollout, "devices", [&](json::value const& one) {
      auto const from = render::text_at(one, "from");
      line(session, fmt::format("  {} x {} {}{}: {}, {} each", render::text_at(one, "devices"), render::text_at(one, "hardware"), render::text_at(one, "model"),
                                from.empty() ? "" : " from " + from, render::text_at(one, "kind"), size_at(one, "bytes")));
    });
    bool const known = !render::member(rollout, "out_bytes").is_null();
    if (!known) line(session, "  none of its devices is registered any more: what they fetched is not known");
    else if (render::text_at(rollout, "counted") != render::text_at(rollout, "told"))
      line(session, fmt::format("  {} of {} devices were looked at; the rest is taken to be alike", render::text_at(rollout, "counted"), render::text_at(rollout, "told")));
  });
}

void tell_cost(Session& session, Arguments const& arguments, json::value const& cost) {
  bool const one = arguments.has("rollout");
  if (!one) tell_models(session, cost);
  tell_rollouts(session, cost);
  if (one) tell_devices(session, cost);
  if (!one) tell_store(session, cost);
  if (auto const money = render::money_text(render::member(cost, "money")); !money.empty()) line(session, (one ? "egress: " : "a month: ") + money);
  if (arguments.has("keep-releases")) tell_keep(session, cost, arguments.text("keep-releases"));
  if (!render::member(cost, "prices").is_object()) session.say("no prices are set: fleetctl cost prices --egress 0.09 --storage 0.023 --requests 0.40 --currency EUR");
  session.say("measured: what is stored and sent. ~ is estimated, by who was told, by the routes that are prepared now, and by the devices' intervals");
}

void tell_names(Session& session, Arguments const& arguments, json::value const& cost) {
  bool const one = arguments.has("rollout");
  each(cost, one ? "rollouts" : "models", [&](json::value const& item) { line(session, render::text_at(item, one ? "id" : "model")); });
}

Result<int> show_cost(Session& session, Arguments const& arguments) {
  if (arguments.has("keep-releases")) FLEET_CHECK(parse_count("--keep-releases", arguments.text("keep-releases"), 1));
  Route route("/cost");
  route.with("model", arguments.text("model")).with("rollout", arguments.text("rollout")).with("keep_releases", arguments.text("keep-releases"));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const cost, api->get(route));
  if (session.for_people()) tell_cost(session, arguments, cost);
  else if (session.format() == Format::name) tell_names(session, arguments, cost);
  else show_json(session, cost);
  return 0;
}

struct PriceRow {
  std::string_view name, unit;
};
constexpr auto kPrices = std::to_array<PriceRow>({{"egress", "a GB (10^9 bytes) out"}, {"storage", "a GB stored for a month"}, {"requests", "a million requests"}});

Result<json::value> parse_price(std::string_view name, std::string const& text) {
  if (text == "none") return json::value(nullptr);
  double price = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), price);
  if (fault == std::errc{} && end == text.data() + text.size() && price >= 0 && price <= 1e9) return json::value(price);
  return Error{Kind::bad_input, "bad_argument", fmt::format("--{}: expected a price such as 0.09, or `none`, got `{}`", name, text)};
}

void tell_prices(Session& session, json::value const& prices) {
  auto const currency = render::text_at(prices, "currency");
  for (auto const& row : kPrices) {
    auto const price = render::member(prices, row.name);
    line(session, fmt::format("{:<9} {}", std::string(row.name) + ":", price.is_number() ? fmt::format("{} {} for {}", render::text_of(price), currency, row.unit) : "not set"));
  }
}

/// What the command line does not name stays as it is.
Result<int> prices(Session& session, Arguments const& arguments) {
  Route const route("/cost/prices");
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const before, api->send(net::Method::get, route.target()));
  FLEET_TRY(auto shown, before.json());
  json::object body;
  bool changes = arguments.has("currency");
  for (auto const& row : kPrices) {
    body[row.name] = render::member(shown, row.name);
    if (!arguments.has(row.name)) continue;
    changes = true;
    FLEET_TRY(body[row.name], parse_price(row.name, arguments.text(row.name)));
  }
  if (changes) {
    body["currency"] = arguments.has("currency") ? json::value(arguments.text("currency")) : render::member(shown, "currency");
    if (!session.reason().empty()) body["reason"] = session.reason();
    FLEET_TRY(auto const answer, api->change(net::Method::put, route, body, std::string(before.header("ETag"))));
    FLEET_TRY(shown, answer.json());
    session.say("the prices are set");
  }
  if (session.for_people()) tell_prices(session, shown);
  else if (session.format() == Format::name) line(session, render::text_at(shown, "currency"));
  else show_json(session, shown);
  return 0;
}

}  // namespace

std::vector<Command> const& cost_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"cost",
       "what is stored and sent, and what it comes to",
       "cost --model reader\ncost --rollout r_01J\ncost --keep-releases 3",
       show_cost,
       {{value, "--model", "M", "of this model alone"},
        {value, "--rollout", "ID", "of this rollout alone, with who fetches what"},
        {value, "--keep-releases", "N", "what would go if only so many of each model were kept; deletes nothing"}}},
      {"cost prices",
       "the prices that costs are counted by: see, set",
       "cost prices --egress 0.09 --storage 0.023 --requests 0.40 --currency EUR",
       prices,
       {{value, "--egress", "PRICE", "of a GB (10^9 bytes) out; `none` removes it"},
        {value, "--storage", "PRICE", "of a GB stored for a month"},
        {value, "--requests", "PRICE", "of a million requests"},
        {value, "--currency", "CODE", "three capital letters, such as EUR"}}},
  };
  return rows;
}

}  // namespace fleet::cli
