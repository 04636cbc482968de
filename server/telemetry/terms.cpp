#include "server/telemetry/terms.hpp"

#include "server/telemetry/ages.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace fleet::telemetry {
namespace {

constexpr std::array<std::string_view, 3> kFields{"model", "version", "hardware"};

Result<SysTime> parse_since(std::string const& text, SysTime now) {
  if (auto const at = parse_rfc3339(text)) return *at;
  FLEET_TRY(auto const ago, parse_duration(text));
  return now - ago;
}

std::string and_labels(std::vector<std::string> const& labels) {
  return labels.empty() ? std::string(" (no label was chosen: fleetctl telemetry labels)") : fmt::format(", {}", fmt::join(labels, ", "));
}

}  // namespace

SysTime Terms::since(std::string const& text) {
  auto const since = parse_since(text.empty() ? "24h" : text, now_);
  if (since) return std::max(*since, now_ - kRetention);
  fault("since", fmt::format("\"{}\" is neither a duration (24h) nor a time (RFC 3339)", text));
  return now_;
}

Millis Terms::step(std::string const& text, std::string_view fallback) {
  auto const step = parse_duration(text.empty() ? std::string(fallback) : text);
  if (step && *step >= kInterval && *step % kInterval == Millis{0}) return *step;
  fault("step", fmt::format("\"{}\" is no duration of whole minutes", text));
  return kInterval;
}

registry::Selector Terms::selector(std::string const& text) {
  auto selector = registry::Selector::parse(text);
  if (!selector) {
    fault("selector", selector.error().detail);
    return {};
  }
  for (auto const& condition : selector->conditions())
    if (condition.key != "hardware" && std::find(labels_.begin(), labels_.end(), condition.key) == labels_.end())
      fault("selector", fmt::format("\"{}\": samples are kept by hardware{}", condition.key, and_labels(labels_)));
  return *std::move(selector);
}

std::vector<std::string> Terms::by(std::string_view text) {
  auto words = split(text);
  for (auto const& word : words) {
    bool const known = std::find(kFields.begin(), kFields.end(), word) != kFields.end() || std::find(labels_.begin(), labels_.end(), word) != labels_.end();
    if (!known || std::count(words.begin(), words.end(), word) > 1)
      fault("by", fmt::format("\"{}\" is none of {}{}, each once", word, fmt::join(kFields, ", "), and_labels(labels_)));
  }
  return words;
}

std::vector<std::string> limiting_labels(registry::Limits const& limits) {
  std::vector<std::string> out;
  if (!limits.devices) return out;
  for (auto const& condition : limits.devices->conditions())
    if (condition.key != "hardware") out.push_back(condition.key);
  return out;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    auto const end = std::min(text.find(','), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

double rounded(double value) {
  auto const text = fmt::format("{:.6g}", value);
  double out = value;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Error bad_query(std::vector<FieldError> faults) {
  return {Kind::bad_input, "bad_query", "the query's parameters are not acceptable", "see docs/api.md, Telemetry", std::move(faults)};
}

}  // namespace fleet::telemetry
