#include "core/wire/device.hpp"
#include "core/wire/json.hpp"

#include <boost/json/serialize.hpp>

#include <charconv>
#include <cmath>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::int64_t kSequenceMax = std::int64_t{1} << 53;
constexpr std::size_t kOutputMax = 4096;

UpdateItem read_update(ObjectReader& reader, std::vector<FieldError>& faults) {
  UpdateItem out;
  out.at = reader.time("at").value_or(SysTime{});
  out.model = reader.required_text("model", 64);
  out.version = reader.text("version", 64, {});
  out.digest = reader.text("digest", 64, {});
  out.rollout = reader.text("rollout", 64, {});
  out.attempt = reader.integer("attempt", 0, 1'000'000, 0);
  out.state = reader.required_text("state", 32);
  out.running_version = reader.text("running_version", 64, {});
  out.running_digest = reader.text("running_digest", 64, {});
  if (auto const* const error = reader.find("error")) {
    ObjectReader inner(*error, reader.pointer("error"), faults);
    out.error = {inner.text("code", 64, {}), inner.text("text", 1024, {}), inner.text("output", kOutputMax, {})};
  }
  for (auto const& digest : {out.digest, out.running_digest})
    if (!digest.empty() && !Digest::parse(digest)) reader.fault("digest", "expected 64 hex characters, lower case");
  return out;
}

/// What a device counts between two reports. The server adds counts of all devices up: none may spoil the sum of the others.
constexpr std::int64_t kCountMax = 1'000'000'000;

/// Indexes of a sketch of relative accuracy 1 % stay within +-40,000 for every double.
void read_buckets(ObjectReader& reader, MetricsItem::Metric& metric) {
  for (auto const& [key, text] : reader.text_map("buckets", 4096, 32)) {
    int index = 0;
    std::int64_t count = 0;
    auto const a = std::from_chars(key.data(), key.data() + key.size(), index);
    auto const b = std::from_chars(text.data(), text.data() + text.size(), count);
    bool const whole = a.ec == std::errc{} && a.ptr == key.data() + key.size() && b.ec == std::errc{} && b.ptr == text.data() + text.size();
    if (!whole || index < -40'000 || index > 40'000 || count < 0 || count > kCountMax) reader.fault("buckets", "expected index: count");
    else metric.buckets[index] += count;
  }
}

MetricsItem read_metrics(ObjectReader& reader, std::vector<FieldError>& faults) {
  MetricsItem out;
  out.since = reader.time("since").value_or(SysTime{});
  out.until = reader.time("until").value_or(SysTime{});
  out.model = reader.text("model", 64, {});
  out.digest = reader.text("digest", 64, {});
  auto const* const list = reader.array("metrics", 256);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    ObjectReader one((*list)[i], reader.pointer("metrics") + "/" + std::to_string(i), faults);
    MetricsItem::Metric metric;
    metric.name = one.required_text("name", 128);
    metric.kind = one.text("kind", 4, {});
    metric.count = one.integer("count", 0, kCountMax, 0);
    metric.sum = one.number("sum", 0);
    metric.min = one.number("min", 0);
    metric.max = one.number("max", 0);
    read_buckets(one, metric);
    if (!std::isfinite(metric.sum)) one.fault("sum", "is not finite");
    out.metrics.push_back(std::move(metric));
  }
  return out;
}

ReportItem read_item(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  ReportItem out;
  out.sequence = reader.required_integer("sequence", 1, kSequenceMax);
  auto const type = reader.required_text("type", 32);
  if (type == "update") out.update = read_update(reader, faults);
  else if (type == "metrics") out.metrics = read_metrics(reader, faults);
  else if (type == "facts") {
    FactsItem facts{reader.time("at").value_or(SysTime{}), {}};
    for (auto& [key, fact] : reader.text_map("reported", 64, 256)) facts.reported.emplace(std::move(key), std::move(fact));
    out.facts = std::move(facts);
  } else if (type == "dropped")
    out.dropped = DroppedItem{reader.time("at").value_or(SysTime{}), reader.text("tier", 32, {}), reader.integer("items", 0, kSequenceMax, 0)};
  return out;
}

json::object update_json(UpdateItem const& item) {
  json::object out{{"type", "update"},
                   {"at", to_rfc3339(item.at, true)},
                   {"model", item.model},
                   {"version", item.version},
                   {"digest", item.digest},
                   {"rollout", item.rollout},
                   {"attempt", item.attempt},
                   {"state", item.state},
                   {"running_version", item.running_version},
                   {"running_digest", item.running_digest}};
  if (!item.error.code.empty())
    out["error"] = json::object{{"code", item.error.code}, {"text", item.error.text.substr(0, 1024)}, {"output", item.error.output.substr(0, kOutputMax)}};
  return out;
}

json::object metrics_json(MetricsItem const& item) {
  json::array metrics;
  for (auto const& metric : item.metrics) {
    json::object one{{"name", metric.name}, {"kind", metric.kind}, {"count", metric.count}, {"sum", metric.sum}, {"min", metric.min}, {"max", metric.max}};
    json::object buckets;
    for (auto const& [index, count] : metric.buckets) buckets[std::to_string(index)] = count;
    if (!buckets.empty()) one["buckets"] = std::move(buckets);
    metrics.push_back(std::move(one));
  }
  return {{"type", "metrics"},     {"since", to_rfc3339(item.since, true)}, {"until", to_rfc3339(item.until, true)}, {"model", item.model},
          {"digest", item.digest}, {"metrics", std::move(metrics)}};
}

json::object item_json(ReportItem const& item) {
  json::object out;
  if (item.update) out = update_json(*item.update);
  else if (item.metrics) out = metrics_json(*item.metrics);
  else if (item.facts) {
    json::object reported;
    for (auto const& [key, fact] : item.facts->reported) reported[key] = fact;
    out = {{"type", "facts"}, {"at", to_rfc3339(item.facts->at, true)}, {"reported", std::move(reported)}};
  } else if (item.dropped)
    out = {{"type", "dropped"}, {"at", to_rfc3339(item.dropped->at, true)}, {"tier", item.dropped->tier}, {"items", item.dropped->items}};
  else out["type"] = "unknown";  // a newer peer's, of which the number alone is kept
  out["sequence"] = item.sequence;
  return out;
}

}  // namespace

Result<ReportItem> decode_report_item(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReportBytesMax));
  std::vector<FieldError> faults;
  auto out = read_item(value, "", faults);
  FLEET_CHECK(no_faults(faults, "report item"));
  return out;
}

std::string encode(ReportItem const& item) { return json::serialize(item_json(item)); }

Result<Report> decode_report(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReportBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  Report out;
  out.sequence = reader.required_integer("sequence", 1, kSequenceMax);
  out.boot_id = reader.text("boot_id", 64, {});
  auto const* const items = reader.array("items", 10'000);
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    out.items.push_back(read_item((*items)[i], "/items/" + std::to_string(i), faults));
    if (i > 0 && out.items[i].sequence <= out.items[i - 1].sequence) reader.fault("items", "sequences must rise");
  }
  if (out.items.empty()) reader.fault("items", "at least one item is required");
  else if (out.items.back().sequence != out.sequence) reader.fault("sequence", "must be the sequence of the last item");
  FLEET_CHECK(no_faults(faults, "report"));
  return out;
}

std::string encode(Report const& message) {
  json::array items;
  for (auto const& item : message.items) items.push_back(item_json(item));
  return json::serialize(json::object{{"sequence", message.sequence}, {"boot_id", message.boot_id}, {"items", std::move(items)}});
}

}  // namespace fleet::wire
