#include "core/wire/device.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::int64_t kSequenceMax = std::int64_t{1} << 53;
constexpr std::size_t kAnswerBytesMax = 4096;
constexpr std::size_t kOutputMax = 4096;
constexpr ByTier<std::string_view> kTierNames{{"critical", "diagnostic", "bulk"}};

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

/// Values that samples can have, and a sum that they can have together: one device's nonsense must not become the mean of a fleet.
void check_values(ObjectReader& reader, MetricsItem::Metric const& metric) {
  for (auto const& [key, value] : {std::pair{"min", metric.min}, std::pair{"max", metric.max}})
    if (!(std::abs(value) <= kValueMax)) reader.fault(key, fmt::format("a value is between -{:g} and {:g}", kValueMax, kValueMax));
  if (metric.min > metric.max) reader.fault("min", fmt::format("{:g} is above max, {:g}", metric.min, metric.max));
  // Counts are rounded, where samples are weighed by their rates.
  auto const most = (static_cast<double>(metric.count) + 1) * std::max(std::abs(metric.min), std::abs(metric.max)) * 1.001;
  if (!(std::abs(metric.sum) <= most)) reader.fault("sum", fmt::format("{} samples between {:g} and {:g} have none like it", metric.count, metric.min, metric.max));
}

/// Of flags of a newer agent nothing is known.
void read_flagged(ObjectReader& reader, MetricsItem::Metric& metric, std::vector<FieldError>& faults) {
  auto const* const value = reader.find("flagged");
  if (value == nullptr) return;
  ObjectReader flags(*value, reader.pointer("flagged"), faults);
  for (std::size_t i = 0; i < kFlagNames.size(); ++i) metric.flagged.of[i] = flags.integer(kFlagNames[i], 0, kCountMax, 0);
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
    auto const mean = metric.sum / static_cast<double>(std::max<std::int64_t>(1, metric.count));
    metric.min = one.number("min", mean);
    metric.max = one.number("max", mean);
    read_buckets(one, metric);
    check_values(one, metric);
    read_flagged(one, metric, faults);
    out.metrics.push_back(std::move(metric));
  }
  return out;
}

SupportItem read_support(ObjectReader& reader) {
  SupportItem out{reader.time("at").value_or(SysTime{}), reader.required_text("id", 64), {}};
  auto const content = from_base64(reader.text("content", (kSupportBytesMax + 2) / 3 * 4, {}));
  if (content) out.content = as_text(*content);
  else reader.fault("content", "expected base64");
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
  else if (type == "note") out.note = NoteItem{reader.time("at").value_or(SysTime{}), reader.required_text("code", 64), reader.text("text", 1024, {})};
  else if (type == "support") out.support = read_support(reader);
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
    if (metric.flagged.all() > 0) {
      json::object flags;
      for (std::size_t i = 0; i < kFlagNames.size(); ++i)
        if (metric.flagged.of[i] > 0) flags[kFlagNames[i]] = metric.flagged.of[i];
      one["flagged"] = std::move(flags);
    }
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
  else if (item.note) out = {{"type", "note"}, {"at", to_rfc3339(item.note->at, true)}, {"code", item.note->code}, {"text", item.note->text.substr(0, 1024)}};
  else if (item.support)
    out = {{"type", "support"}, {"at", to_rfc3339(item.support->at, true)}, {"id", item.support->id}, {"content", to_base64(as_bytes(item.support->content))}};
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

std::string_view tier_name(Tier tier) { return kTierNames[tier]; }

std::int64_t Flagged::all() const { return std::accumulate(of.begin(), of.end(), std::int64_t{0}); }

Flag Flagged::most() const { return static_cast<Flag>(std::max_element(of.begin(), of.end()) - of.begin()); }

std::size_t Report::size() const {
  std::size_t sum = 0;
  for (auto const& tier : items.of) sum += tier.size();
  return sum;
}

Result<Report> decode_report(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReportBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  if (reader.valid() && reader.find("tiers") == nullptr && (reader.find("sequence") != nullptr || reader.find("items") != nullptr))
    return Error{Kind::bad_input, "single_sequence", "this report has one sequence for everything; a report has tiers, each with a sequence of its own",
                 R"(update the agent; {"boot_id": ..., "tiers": {"critical": {"items": [...]}}}, docs/protocol.md, reports)"};
  Report out;
  out.boot_id = reader.text("boot_id", 64, {});
  if (reader.find("clock") != nullptr) out.clock = reader.time("clock").value_or(SysTime{});
  auto const* const tiers = reader.find("tiers");
  static json::value const kNone = json::object{};
  if (tiers == nullptr) reader.fault("tiers", "is required");
  ObjectReader by_tier(tiers == nullptr ? kNone : *tiers, "/tiers", faults);
  for (auto const tier : kTiers) {
    auto const name = tier_name(tier);
    auto const* const body = by_tier.find(name);
    if (body == nullptr) continue;
    ObjectReader one(*body, by_tier.pointer(name), faults);
    auto const* const items = one.array("items", kReportItemsMax);
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      auto& own = out.items[tier];
      own.push_back(read_item((*items)[i], one.pointer("items") + "/" + std::to_string(i), faults));
      if (i > 0 && own[i].sequence <= own[i - 1].sequence) one.fault("items", fmt::format("sequences must rise, {} follows {}", own[i].sequence, own[i - 1].sequence));
    }
  }
  if (out.size() > kReportItemsMax) reader.fault("tiers", fmt::format("{} items, at most {} are taken", out.size(), kReportItemsMax));
  FLEET_CHECK(no_faults(faults, "report"));
  return out;
}

std::string encode(Report const& message) {
  json::object tiers;
  for (auto const tier : kTiers) {
    if (message.items[tier].empty()) continue;
    json::array items;
    for (auto const& item : message.items[tier]) items.push_back(item_json(item));
    tiers[tier_name(tier)] = json::object{{"items", std::move(items)}};
  }
  json::object out{{"boot_id", message.boot_id}, {"tiers", std::move(tiers)}};
  if (message.clock != SysTime{}) out["clock"] = to_rfc3339(message.clock, true);
  return json::serialize(out);
}

Result<ReportAnswer> decode_report_answer(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kAnswerBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  ReportAnswer out;
  static json::value const kNone = json::object{};
  auto const* const acked = reader.find("acked");
  auto const* const received = reader.find("received");
  if (acked == nullptr) reader.fault("acked", "is required");
  ObjectReader of_acked(acked == nullptr ? kNone : *acked, "/acked", faults);
  ObjectReader of_received(received == nullptr ? kNone : *received, "/received", faults);
  for (auto const tier : kTiers) {
    out.acked[tier] = of_acked.integer(tier_name(tier), 0, kSequenceMax, 0);
    out.received[tier] = std::max(out.acked[tier], of_received.integer(tier_name(tier), 0, kSequenceMax, 0));
  }
  out.resend_after_s = static_cast<int>(reader.integer("resend_after_s", 0, 86'400, 0));
  FLEET_CHECK(no_faults(faults, "acknowledgement"));
  return out;
}

std::string encode(ReportAnswer const& message) {
  json::object acked, received;
  for (auto const tier : kTiers) {
    acked[tier_name(tier)] = message.acked[tier];
    received[tier_name(tier)] = message.received[tier];
  }
  return json::serialize(json::object{{"acked", std::move(acked)}, {"received", std::move(received)}, {"resend_after_s", message.resend_after_s}});
}

}  // namespace fleet::wire
