#include "server/telemetry/terms.hpp"

#include "server/registry/groups.hpp"
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

registry::Selector Terms::selector(std::string const& text, registry::Selector::Groups groups) {
  auto selector = registry::Selector::parse(text);
  if (!selector) {
    fault("selector", selector.error().detail);
    return {};
  }
  selector->set_groups(std::move(groups));
  check_keys(*selector, {});
  return *std::move(selector);
}

/// Groups may be of labels; samples are sums of many devices, so that nothing is known of one of them.
void Terms::check_keys(registry::Selector const& selector, std::string const& of_group) {
  auto const refuse = [&](std::string const& what, std::string const& why) { fault("selector", fmt::format("{}\"{}\": {}", of_group, what, why)); };
  for (auto const& condition : selector.conditions()) {
    if (condition.key == "hardware" || std::find(labels_.begin(), labels_.end(), condition.key) != labels_.end()) continue;
    if (condition.key == "id") refuse("id", "samples are sums over devices; what a device measured last: fleetctl telemetry latest ID");
    else if (condition.key == "running") refuse("running", "samples are kept by release: --release MODEL@VERSION");
    else if (condition.key != "group") refuse(condition.key, fmt::format("samples are kept by hardware{}", and_labels(labels_)));
  }
  for (auto const& name : selector.group_names()) {
    auto const found = selector.groups().find(name);
    if (found == selector.groups().end()) refuse("group=" + name, "there is no such group: fleetctl group list");
    else if (found->second == nullptr) refuse("group=" + name, fmt::format("it is a list of ids, and samples are sums over devices; a group by a selector over hardware{} fits", and_labels(labels_)));
    else check_keys(*found->second, fmt::format("{}group={}, ", of_group, name));
  }
}

registry::Selector::Groups groups_of(db::Connection& reader, std::string const& selector) {
  auto const read = registry::read_question(reader, selector);
  return read ? read->groups() : registry::Selector::Groups{};
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
