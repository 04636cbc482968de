#include "server/cost/prices.hpp"

#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/events/audit.hpp"
#include "server/store/settings.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::cost {
namespace json = boost::json;
namespace {

constexpr std::string_view kSetting = "prices";
constexpr std::size_t kBytesMax = 64 * 1024;
constexpr double kPriceMax = 1e9;

struct Row {
  std::string_view name;
  std::optional<double> Prices::*price;
  std::optional<double> Amounts::*amount;
  double unit;  ///< so much of the amount has the price
};
constexpr auto kRows = std::to_array<Row>({
    {"egress", &Prices::egress, &Amounts::out_bytes, kGigabyte},
    {"storage", &Prices::storage, &Amounts::stored_bytes, kGigabyte},
    {"requests", &Prices::requests, &Amounts::requests, 1e6},
});

json::value number_or_null(std::optional<double> const& value) { return value ? json::value(*value) : json::value(nullptr); }

json::object object_of(Prices const& prices) {
  json::object out;
  for (auto const& row : kRows) out[row.name] = number_or_null(prices.*row.price);
  out["currency"] = wire::text_or_null(prices.currency);
  return out;
}

bool is_there(wire::ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  return value != nullptr && !value->is_null();
}

bool is_currency(std::string_view text) {
  return text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

Prices read(wire::ObjectReader& reader) {
  Prices out;
  for (auto const& row : kRows) {
    if (!is_there(reader, row.name)) continue;
    auto const price = reader.number(row.name, 0);
    if (!(price >= 0 && price <= kPriceMax)) reader.fault(row.name, fmt::format("expected a price from 0 to {}", kPriceMax));
    out.*row.price = price;
  }
  if (is_there(reader, "currency")) out.currency = reader.text("currency", 16, "");
  return out;
}

}  // namespace

std::string money_json(Prices const& prices, Amounts const& amounts) {
  json::object out;
  double total = 0;
  for (auto const& row : kRows) {
    auto const &price = prices.*row.price, &amount = amounts.*row.amount;
    if (!price || !amount) continue;
    auto const money = *amount / row.unit * *price;
    out[row.name] = money;
    total += money;
  }
  if (out.empty()) return "null";
  out["total"] = total;
  out["currency"] = prices.currency;
  return json::serialize(out);
}

Result<WantedPrices> decode_prices(std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body.empty() ? "{}" : body, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  WantedPrices out{read(reader), {}};
  out.reason = reader.text("reason", 1'000, "");
  if (reader.valid() && (out.prices.any() || !out.prices.currency.empty()) && !is_currency(out.prices.currency))
    reader.fault("currency", "prices need a currency of three capital letters, such as EUR");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  if (!out.prices.any()) out.prices.currency.clear();
  return out;
}

std::string prices_json(Prices const& prices) { return json::serialize(object_of(prices)); }

Result<Prices> load_prices(db::Connection& reader) {
  FLEET_TRY(auto const kept, store::load_setting(reader, kSetting));
  if (!kept) return Prices{};
  FLEET_TRY(auto const value, wire::parse_json(*kept, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader object(value, "", faults);
  auto out = read(object);
  out.revision = object.integer("revision", 1, INT64_MAX, 1);
  FLEET_CHECK(wire::no_faults(faults, "prices in settings"));
  return out;
}

Result<Prices> set_prices(store::Tx& tx, Prices wanted, events::Deed const& deed) {
  FLEET_TRY(auto const before, load_prices(tx.connection()));
  auto const was = prices_json(before), now = prices_json(wanted);
  if (before.revision > 0 && was == now) return before;
  wanted.revision = before.revision + 1;
  auto kept = object_of(wanted);
  kept["revision"] = wanted.revision;
  FLEET_CHECK(store::save_setting(tx, kSetting, json::serialize(kept)));
  FLEET_CHECK(events::record(tx, deed, "prices.changed", "server/prices", was, now));
  return wanted;
}

}  // namespace fleet::cost
