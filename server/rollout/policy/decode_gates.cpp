#include "server/rollout/policy/amounts.hpp"
#include "server/rollout/policy/decode.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr Between kRatio{1, 1'000'000, true};
constexpr Between kAlpha{0, alpha::kTotal, true};

void read_failures(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  FailuresGate gate;
  gate.max_odds_ratio = read_numbers(reader, "max_odds_ratio", kRatio, faults);
  gate.harm_alpha = read_number(reader, "harm_alpha", gate.harm_alpha, kAlpha);
  if (reader.find("alternatives") != nullptr) gate.alternatives = read_numbers(reader, "alternatives", kRatio, faults);
  reader.refuse_unknown();
  policy.failures = std::move(gate);
}

void read_silent(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  SilentGate gate;
  gate.after_reports = static_cast<int>(reader.integer("after_reports", 1, 1000, gate.after_reports));
  gate.devices_max = read_share(reader, "devices_max", gate.devices_max);
  gate.harm_alpha = read_number(reader, "harm_alpha", gate.harm_alpha, kAlpha);
  reader.refuse_unknown();
  policy.silent = gate;
}

/// What is said of samples, and what an update's own failure has none of.
void read_samples(ObjectReader& reader, AbsoluteGate& gate) {
  constexpr double kAny = 1e15;
  for (auto const& [key, bound] : {std::pair{"min", &gate.min}, std::pair{"max", &gate.max}})
    if (reader.find(key) != nullptr) *bound = read_number(reader, key, 0, {-kAny, kAny});
  if (reader.find("block") != nullptr) {
    gate.block = read_duration(reader, "block");
    if (gate.block < std::chrono::seconds{1}) reader.fault("block", "at least 1s");
  }
  gate.blocks = reader.integer("blocks", 1, 1'000'000, gate.blocks);
  gate.samples = reader.integer("samples", 1, 1'000'000'000, gate.samples);
  if (gate.min && gate.max && *gate.min > *gate.max) reader.fault("max", fmt::format("{} is below min, {}", *gate.max, *gate.min));
  if (gate.metric.empty()) return;
  if (gate.metric != kInstallFailure) {
    if (!gate.min && !gate.max) reader.fault("metric", "min or max is required: outside of them a device is bad");
    return;
  }
  for (auto const* const key : {"min", "max", "block", "blocks", "samples"})
    if (reader.find(key) != nullptr) reader.fault(key, "agent.install_failure takes devices_max and alpha alone: a device is bad when its update failed");
}

AbsoluteGate read_absolute(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  AbsoluteGate gate;
  gate.metric = reader.required_text("metric", 128);
  read_samples(reader, gate);
  gate.devices_max = read_share(reader, "devices_max", gate.devices_max);
  if (reader.find("alpha") != nullptr) gate.alpha = read_number(reader, "alpha", alpha::kAbsolute, kAlpha);
  reader.refuse_unknown();
  return gate;
}

MetricGate read_metric(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  MetricGate gate;
  gate.name = reader.required_text("name", 128);
  if (gate.name == kInstallFailure) reader.fault("name", "is no measurement; the gates `failures` and `absolute` judge it");
  if (reader.find("quantile") != nullptr) gate.quantile = read_number(reader, "quantile", .5, {0, 1, true, true});
  gate.higher_is_worse = read_either(reader, "worse", "higher", true, "lower", false);
  gate.margin = read_share(reader, "margin", gate.margin, true);
  reader.refuse_unknown();
  return gate;
}

void read_drift(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  DriftGate gate;
  gate.metrics = reader.texts("metrics", kItemsMax, 128);
  auto const empty = std::find(gate.metrics.begin(), gate.metrics.end(), "");
  if (reader.valid() && (gate.metrics.empty() || empty != gate.metrics.end())) reader.fault("metrics", "expected the names of metrics, such as [confidence]");
  auto sorted = gate.metrics;
  std::sort(sorted.begin(), sorted.end());
  if (auto const twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) reader.fault("metrics", fmt::format("'{}' is named twice", *twice));
  gate.rolls_back = read_either(reader, "action", "pause", false, "rollback", true);
  reader.refuse_unknown();
  policy.drift = std::move(gate);
}

void read_certify(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  if (auto const* const found = reader.find("devices_max"); found != nullptr && found->is_string()) {
    policy.certify.push_back(read_share(reader, "devices_max", .5));
  } else {
    auto const texts = reader.texts("devices_max", kItemsMax, 32);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto const share = parse_share(texts[i]);
      if (share && *share >= kShareMin && *share < 1) policy.certify.push_back(*share);
      else faults.push_back({fmt::format("{}/{}", reader.pointer("devices_max"), i), fmt::format("'{}' is no share of devices; write for example 12%", texts[i])});
    }
    if (texts.empty() && reader.valid()) reader.fault("devices_max", "expected shares of devices, one a stage: [60%, 20%]");
  }
  policy.certify_evidence = read_number(reader, "evidence", policy.certify_evidence, {1, 1'000'000, true});
  reader.refuse_unknown();
}

/// Each item of a list, and who names the same twice.
template <class Gate, class Read, class Same>
void read_each(ObjectReader& reader, std::string_view key, std::string_view name, std::vector<Gate>& out, Read const& read, Same const& same, Faults& faults) {
  auto const* const list = reader.array(key, kItemsMax);
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto const at = fmt::format("{}/{}", reader.pointer(key), i);
    auto gate = read((*list)[i], at, faults);
    if (std::any_of(out.begin(), out.end(), [&](Gate const& other) { return same(other, gate); }))
      faults.push_back({fmt::format("{}/{}", at, name), "this metric has a gate already"});
    out.push_back(std::move(gate));
  }
}

/// Where the gates stand, for the faults that are of all of them.
void check_budget(std::string const& pointer, Policy const& policy, Faults& faults) {
  constexpr double kRounding = 1e-12;
  auto const sum = harm_budget(policy);
  if (sum <= alpha::kTotal + kRounding) return;
  std::string parts;
  auto const add = [&](std::string_view name, double part) { parts += fmt::format("{}{} {:.6g}", parts.empty() ? "" : ", ", name, part); };
  if (policy.failures) add("failures", policy.failures->harm_alpha);
  if (policy.silent) add("silent", policy.silent->harm_alpha);
  double absolute = 0;
  for (auto const& gate : policy.absolute) absolute += alpha_of(policy, gate);
  if (!policy.absolute.empty()) add("absolute", absolute);
  if (!policy.metrics.empty()) add("metrics", alpha::kMetrics);
  if (policy.drift) add("drift", alpha::kDrift);
  faults.push_back({pointer, fmt::format("the harm gates may err {:.6g} together ({}), at most {} is allowed: lower a harm_alpha or alpha", sum, parts, alpha::kTotal)});
}

}  // namespace

void read_gates(ObjectReader& policy_reader, Policy& policy, Faults& faults) {
  auto const* const value = policy_reader.find("gates");
  if (value == nullptr) return;
  auto const pointer = policy_reader.pointer("gates");
  ObjectReader reader(*value, pointer, faults);
  if (auto const* const failures = reader.find("failures")) read_failures(*failures, pointer + "/failures", policy, faults);
  if (auto const* const silent = reader.find("silent")) read_silent(*silent, pointer + "/silent", policy, faults);
  read_each(reader, "absolute", "metric", policy.absolute, read_absolute, [](auto const& a, auto const& b) { return a.metric == b.metric; }, faults);
  read_each(reader, "metrics", "name", policy.metrics, read_metric,
            [](auto const& a, auto const& b) { return a.name == b.name && a.quantile == b.quantile; }, faults);
  if (auto const* const drift = reader.find("drift")) read_drift(*drift, pointer + "/drift", policy, faults);
  if (auto const* const certify = reader.find("certify")) read_certify(*certify, pointer + "/certify", policy, faults);
  reader.refuse_unknown();
  check_budget(pointer, policy, faults);
}

}  // namespace fleet::rollout
