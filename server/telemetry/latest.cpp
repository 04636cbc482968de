#include "server/telemetry/latest.hpp"

#include "core/wire/json.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/telemetry/names.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/terms.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>
#include <tuple>

namespace fleet::telemetry {
namespace {

namespace json = boost::json;

constexpr std::size_t kBytesMax = 256 * 1024;
constexpr std::chrono::hours kTellEvery{1};
constexpr std::chrono::hours kGivesWay{24};  // to another metric, where it was not heard for so long
constexpr std::chrono::days kForgotten{7};    // not heard any more: another release does not send it
constexpr std::size_t kFields = 11;

auto key_of(LatestValue const& one) { return std::tie(one.model, one.metric); }

/// The row keeps a value as an array: names of members would be most of it.
json::array row_of(LatestValue const& one) {
  return {one.metric, one.model, one.version, one.kind, one.value ? json::value(*one.value) : json::value(nullptr), one.count, to_unix_ms(one.at), one.flag, to_unix_ms(one.since), one.told_flag, to_unix_ms(one.told)};
}

std::optional<LatestValue> read_row(json::value const& value) {
  auto const* const row = value.if_array();
  if (row == nullptr || row->size() != kFields) return std::nullopt;
  bool sound = true;
  auto const text = [&](std::size_t i) {
    auto const* const found = (*row)[i].if_string();
    sound = sound && found != nullptr;
    return found == nullptr ? std::string() : std::string(*found);
  };
  auto const number = [&](std::size_t i) {
    boost::system::error_code bad;
    auto const out = (*row)[i].to_number<std::int64_t>(bad);
    sound = sound && !bad;
    return out;
  };
  std::optional<double> measured;
  if (auto const& value_then = (*row)[4]; value_then.is_number()) measured = value_then.to_number<double>();
  LatestValue out{text(0), text(1), text(2), text(3), measured, number(5), from_unix_ms(number(6)), text(7), from_unix_ms(number(8)), text(9), from_unix_ms(number(10))};
  return sound ? std::optional(std::move(out)) : std::nullopt;
}

double value_of(wire::MetricsItem::Metric const& metric) {
  return metric.kind == "c" || metric.count <= 1 ? metric.sum : metric.sum / static_cast<double>(metric.count);
}

/// Most of what came counts for nothing: then the rest is luck.
std::string flag_of(wire::MetricsItem::Metric const& metric) {
  auto const flagged = metric.flagged.all();
  return flagged > 0 && flagged >= metric.count ? std::string(wire::kFlagNames[static_cast<std::size_t>(metric.flagged.most())]) : std::string();
}

/// Bits by wire::Flag.
std::int64_t mask_of(Latest const& latest) {
  std::int64_t out = latest.skew == Millis{0} ? 0 : 1 << static_cast<int>(wire::Flag::clock_skewed);
  for (auto const& one : latest.values)
    for (std::size_t i = 0; i < wire::kFlagNames.size(); ++i)
      if (one.flag == wire::kFlagNames[i]) out |= 1 << i;
  return out;
}

/// A place for a metric that is new; null: there is none.
LatestValue* place_for(std::vector<LatestValue>& values, LatestValue wanted, SysTime now) {
  if (values.size() >= kLatestMax) {
    auto const oldest = std::min_element(values.begin(), values.end(), [](auto const& a, auto const& b) { return a.at < b.at; });
    if (oldest->at > now - kGivesWay) return nullptr;
    values.erase(oldest);
  }
  auto const at = std::lower_bound(values.begin(), values.end(), wanted, [](auto const& a, auto const& b) { return key_of(a) < key_of(b); });
  return &*values.insert(at, std::move(wanted));
}

}  // namespace

void Latest::take(wire::MetricsItem const& item, std::string const& version, SysTime now) {
  at = now;
  std::erase_if(values, [&](auto const& one) { return one.at < now - kForgotten; });
  auto const until = std::min(item.until, now);
  for (auto const& metric : item.metrics) {
    auto const found = std::find_if(values.begin(), values.end(), [&](auto const& one) { return one.metric == metric.name && one.model == item.model; });
    auto* const own = found != values.end() ? &*found : place_for(values, {metric.name, item.model, {}, {}, {}, 0, until, {}, until}, now);
    other += own == nullptr ? 1 : 0;
    if (own == nullptr || until < own->at) continue;
    own->version = version;
    if (!metric.kind.empty()) own->kind = metric.kind;
    own->at = until;
    if (metric.count > 0) own->value = value_of(metric);
    own->count = metric.count;
    auto flag = flag_of(metric);
    if (flag != own->flag) own->since = until;
    own->flag = std::move(flag);
  }
}

Result<Latest> load_latest(db::Connection& reader, std::int64_t device_n) {
  Latest out;
  auto row = reader.prepare(kGetLatest);
  FLEET_TRY(bool const found, row.bind_all(device_n).step());
  if (!found) return out;
  out.at = from_unix_ms(row.int64(0));
  out.skew = Millis{row.int64(2)};
  out.told_off = row.int64(3) != 0;
  out.told = from_unix_ms(row.int64(4));
  FLEET_TRY(auto const values, wire::parse_json(row.text_view(1), kBytesMax));
  auto const* const list = values.if_array();
  if (list == nullptr) return Error{Kind::corrupt, "bad_row", "what a device measured last is no list", "restore a backup"};
  for (auto const& one : *list)
    if (one.is_int64()) out.other = one.get_int64();
    else if (auto value = read_row(one)) out.values.push_back(*std::move(value));
  return out;
}

Result<void> save_latest(store::Tx& tx, std::int64_t device_n, Latest const& latest) {
  json::array values;
  for (auto const& one : latest.values) values.push_back(row_of(one));
  if (latest.other > 0) values.push_back(latest.other);
  return tx.prepare(kPutLatest).bind_all(device_n, to_unix_ms(latest.at), json::serialize(values), mask_of(latest), latest.skew.count(), latest.told_off, to_unix_ms(latest.told)).run();
}

std::vector<Change> take_changes(Latest& latest, SysTime now) {
  std::vector<Change> out;
  for (auto& one : latest.values) {
    // Of a clock people are told once, not a metric.
    bool const of_clock = one.flag == wire::kFlagNames[static_cast<std::size_t>(wire::Flag::clock_skewed)];
    if (of_clock || one.flag == one.told_flag || one.told > now - kTellEvery) continue;
    json::object data{{"metric", one.metric}, {"model", wire::text_or_null(one.model)}, {"version", wire::text_or_null(one.version)}};
    if (!one.flag.empty()) data["flag"] = one.flag;
    data["since"] = to_rfc3339(one.since);
    out.push_back({one.flag.empty() ? "device.sensor_clear" : "device.sensor_flagged", json::serialize(data)});
    one.told_flag = one.flag;
    one.told = now;
  }
  bool const is_off = latest.skew != Millis{0};
  if (is_off != latest.told_off && latest.told <= now - kTellEvery) {
    out.push_back({is_off ? "device.clock_skewed" : "device.clock_right", json::serialize(json::object{{"ahead_s", latest.skew.count() / 1'000}})});
    latest.told_off = is_off;
    latest.told = now;
  }
  return out;
}

Millis skew_of(SysTime clock, SysTime now) {
  auto const ahead = std::chrono::duration_cast<Millis>(clock - now);
  return std::chrono::abs(ahead) <= kClockRight ? Millis{0} : ahead;
}

bool is_ahead(wire::MetricsItem const& item, SysTime now) { return item.until > now + kClockRight; }

wire::MetricsItem without_time(wire::MetricsItem item, SysTime now) {
  item.since = item.until = now;
  for (auto& metric : item.metrics) {
    metric.flagged[wire::Flag::clock_skewed] += metric.count;
    metric.count = 0;
    metric.sum = metric.min = metric.max = 0;
    metric.buckets.clear();
  }
  return item;
}

Result<std::vector<std::string>> list_latest(db::Connection& reader, Latest const& latest, registry::Limits const& limits) {
  std::vector<std::string> out;
  std::map<std::string, Units> units;
  for (auto const& one : latest.values) {
    if (!limits.covers_model(one.model)) continue;
    if (!units.contains(one.model)) {
      FLEET_TRY(units[one.model], load_units(reader, one.model));
    }
    auto const unit = units[one.model].find(one.metric);
    out.push_back(json::serialize(json::object{{"metric", one.metric},
                                               {"model", wire::text_or_null(one.model)},
                                               {"version", wire::text_or_null(one.version)},
                                               {"type", wire::text_or_null(type_of(one.kind))},
                                               {"unit", unit == units[one.model].end() ? json::value(nullptr) : json::value(unit->second)},
                                               {"value", one.value ? json::value(rounded(*one.value)) : json::value(nullptr)},
                                               {"count", one.count},
                                               {"at", to_rfc3339(one.at)},
                                               {"flag", wire::text_or_null(one.flag)},
                                               {"since", to_rfc3339(one.since)}}));
  }
  if (latest.other > 0 && limits.model.empty())
    out.push_back(json::serialize(json::object{{"metric", "other"}, {"model", nullptr}, {"version", nullptr}, {"type", nullptr}, {"unit", nullptr}, {"value", latest.other},
                                               {"count", latest.other}, {"at", to_rfc3339(latest.at)}, {"flag", nullptr}, {"since", to_rfc3339(latest.at)}}));
  return out;
}

std::string flags_json(Latest const& latest, registry::Limits const& limits) {
  json::array out;
  for (auto const& one : latest.values)
    if (!one.flag.empty() && limits.covers_model(one.model))
      out.push_back(json::object{{"metric", one.metric}, {"model", wire::text_or_null(one.model)}, {"flag", one.flag}, {"since", to_rfc3339(one.since)}});
  return json::serialize(out);
}

Result<std::array<std::int64_t, wire::kFlagNames.size()>> count_flagged(db::Connection& reader) {
  std::array<std::int64_t, wire::kFlagNames.size()> out{};
  auto row = reader.prepare(kCountFlagged);
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return out;
    for (std::size_t i = 0; i < out.size(); ++i)
      if ((row.int64(0) >> i & 1) != 0) out[i] += row.int64(1);
  }
}

}  // namespace fleet::telemetry
