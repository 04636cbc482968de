#include "server/rollout/policy/policy.hpp"
#include "server/rollout/policy/presets.hpp"

#include "core/base/names.hpp"
#include "core/base/zone.hpp"
#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

using wire::ObjectReader;
using Faults = std::vector<FieldError>;

constexpr std::size_t kPolicyBytesMax = 64 * 1024;
constexpr std::size_t kItemsMax = 64;
constexpr double kHoldbackMax = 50;  // percent
constexpr auto kDays = std::to_array<std::string_view>({"mon", "tue", "wed", "thu", "fri", "sat", "sun"});

/// Gates and keys of a policy that this server does not act on: refused, since a guard that is silently off is worse than none.
struct NotBuilt {
  std::string_view key, hint;
};
constexpr auto kGatesNotBuilt = std::to_array<NotBuilt>({
    {"failures", "gate 'failures' is not built yet; use {absolute: [{metric: agent.install_failure, devices_max: 2%}]}"},
    {"metrics", "gate 'metrics' is not built yet; use an absolute gate with min or max on the metric"},
    {"drift", "gate 'drift' is not built yet; leave it out"},
});

std::optional<double> parse_percent(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double value = 0;
  auto const read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// `"2%"` as .02; a bare number is refused: 2 and 0.02 could both be meant.
double read_share(ObjectReader& reader, std::string_view key, double fallback) {
  auto const written = reader.text(key, 16, {});
  if (written.empty()) return fallback;
  auto const percent = parse_percent(written);
  if (percent && *percent > 0 && *percent < 100) return *percent / 100;
  reader.fault(key, fmt::format("'{}' is no share of devices; write for example 2%", written));
  return fallback;
}

/// `10` or `"10%"`.
std::optional<double> read_percent(ObjectReader& reader, std::string_view key) {
  auto const* const value = reader.find(key);
  if (value == nullptr) return std::nullopt;
  std::optional<double> percent;
  if (value->is_number()) percent = value->to_number<double>();
  else if (value->is_string()) percent = parse_percent(value->get_string());
  if (percent && *percent > 0 && *percent <= 100) return percent;
  reader.fault(key, "expected a percentage above 0 and at most 100, such as 10 or 10%");
  return std::nullopt;
}

Millis read_duration(ObjectReader& reader, std::string_view key) {
  auto const length = reader.duration(key).value_or(Millis{0});
  if (length >= Millis{0} && length <= std::chrono::hours(24 * 366)) return length;
  reader.fault(key, "expected a duration between 0 and 366d");
  return Millis{0};
}

StageSpec read_stage(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  StageSpec stage;
  stage.size.percent = read_percent(reader, "percent");
  if (reader.find("devices") != nullptr) stage.size.devices = reader.integer("devices", 1, 100'000'000, 1);
  stage.bake = read_duration(reader, "bake");
  stage.min_devices = reader.integer("min_devices", 0, 100'000'000, 0);
  stage.deadline = read_duration(reader, "deadline");
  bool const has_percent = reader.find("percent") != nullptr;
  if (reader.valid() && has_percent == stage.size.devices.has_value()) reader.fault("", "a stage has either percent or devices");
  reader.refuse_unknown();
  return stage;
}

void read_stages(ObjectReader& reader, Policy& policy, Faults& faults) {
  auto const* const list = reader.array("stages", kItemsMax);
  if (list == nullptr || list->empty()) {
    if (list != nullptr || reader.find("stages") == nullptr) reader.fault("stages", "at least one stage is required");
    return;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto const pointer = fmt::format("{}/{}", reader.pointer("stages"), i);
    policy.stages.push_back(read_stage((*list)[i], pointer, faults));
    auto const& now = policy.stages.back();
    if (i == 0) continue;
    auto const& before = policy.stages[i - 1];
    bool const shrinks =
        (now.size.percent && before.size.percent && *now.size.percent <= *before.size.percent) ||
        (now.size.devices && before.size.devices && *now.size.devices <= *before.size.devices);
    if (shrinks) faults.push_back({pointer, "stages are cumulative: each must be larger than the one before"});
  }
}

AbsoluteGate read_absolute(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  AbsoluteGate gate;
  gate.metric = reader.required_text("metric", 128);
  for (auto const& [key, bound] : {std::pair{"min", &gate.min}, std::pair{"max", &gate.max}})
    if (reader.find(key) != nullptr) *bound = reader.number(key, 0);
  gate.samples = reader.integer("samples", 1, 1'000'000'000, 1);
  gate.devices_max = read_share(reader, "devices_max", gate.devices_max);
  bool const bounded = gate.min.has_value() || gate.max.has_value();
  if (gate.metric == kInstallFailure && bounded)
    reader.fault("metric", "agent.install_failure takes devices_max alone: a device is bad when its update failed");
  if (!gate.metric.empty() && gate.metric != kInstallFailure && !bounded) reader.fault("metric", "min or max is required");
  if (gate.min && gate.max && *gate.min > *gate.max) reader.fault("max", "is below min");
  reader.refuse_unknown();
  return gate;
}

void read_certify(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  if (auto const* const found = reader.find("devices_max"); found != nullptr && found->is_string()) {
    policy.certify.push_back(read_share(reader, "devices_max", .5));
  } else {
    for (auto const& text : reader.texts("devices_max", kItemsMax, 16)) {
      auto const percent = parse_percent(text);
      if (percent && *percent > 0 && *percent < 100) policy.certify.push_back(*percent / 100);
      else reader.fault("devices_max", fmt::format("'{}' is no share of devices; write for example 12%", text));
    }
    if (policy.certify.empty()) reader.fault("devices_max", "expected shares of devices, one a stage: [60%, 20%]");
  }
  reader.refuse_unknown();
}

void read_gates(ObjectReader& policy_reader, Policy& policy, Faults& faults) {
  auto const* const value = policy_reader.find("gates");
  if (value == nullptr) return;
  auto const pointer = policy_reader.pointer("gates");
  ObjectReader reader(*value, pointer, faults);
  for (auto const& gate : kGatesNotBuilt)
    if (reader.find(gate.key) != nullptr) reader.fault(gate.key, std::string(gate.hint));
  if (auto const* const silent = reader.find("silent")) {
    ObjectReader inner(*silent, pointer + "/silent", faults);
    policy.silent = SilentGate{};
    policy.silent->after_reports = static_cast<int>(inner.integer("after_reports", 1, 1000, 3));
    policy.silent->devices_max = read_share(inner, "devices_max", policy.silent->devices_max);
    inner.refuse_unknown();
  }
  if (auto const* const list = reader.array("absolute", kItemsMax))
    for (std::size_t i = 0; i < list->size(); ++i) {
      auto const at = fmt::format("{}/absolute/{}", pointer, i);
      policy.absolute.push_back(read_absolute((*list)[i], at, faults));
      auto const same = [&](AbsoluteGate const& gate) { return gate.metric == policy.absolute.back().metric; };
      if (std::count_if(policy.absolute.begin(), policy.absolute.end(), same) > 1) faults.push_back({at + "/metric", "this metric has a gate already"});
    }
  if (auto const* const certify = reader.find("certify")) read_certify(*certify, pointer + "/certify", policy, faults);
  reader.refuse_unknown();
}

void read_device(ObjectReader& policy_reader, Policy& policy, Faults& faults) {
  auto const* const value = policy_reader.find("device");
  if (value == nullptr) return;
  ObjectReader reader(*value, policy_reader.pointer("device"), faults);
  auto& device = policy.device;
  if (reader.find("battery_min") != nullptr) device.battery_min_percent = static_cast<int>(read_percent(reader, "battery_min").value_or(0));
  device.metered = reader.text("metered", 16, "allow");
  if (device.metered != "allow" && device.metered != "avoid" && device.metered != "never") reader.fault("metered", "is allow, avoid or never");
  device.attempts = static_cast<int>(reader.integer("attempts", 1, 100, 3));
  for (auto const& [key, time] : {std::pair{"give_up", &device.give_up}, std::pair{"waiting_max", &device.waiting_max}}) {
    if (reader.find(key) == nullptr) continue;
    *time = read_duration(reader, key);
    if (*time < std::chrono::minutes{1}) reader.fault(key, "at least 1m");
  }
  if (auto const* const size = reader.find("metered_max"); size != nullptr && size->is_number()) {
    device.metered_max_bytes = reader.integer("metered_max", 0, std::int64_t{1} << 50, 0);
  } else if (size != nullptr) {
    auto const bytes = wire::parse_size(reader.text("metered_max", 40, {}));
    if (bytes) device.metered_max_bytes = static_cast<std::int64_t>(*bytes);
    else reader.fault("metered_max", bytes.error().detail);
  }
  reader.refuse_unknown();
}

bool is_time_of_day(std::string_view text) {
  auto const digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  return text.size() == 5 && text[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4) && text.substr(0, 2) <= "23" && text.substr(3) <= "59";
}

wire::Window read_window(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  wire::Window window;
  window.zone = reader.required_text("zone", 64);
  window.days = reader.texts("days", 7, 3);
  window.from = reader.required_text("from", 5);
  window.to = reader.required_text("to", 5);
  window.gates = reader.text("gates", 16, "switch");
  for (auto const& day : window.days)
    if (std::find(kDays.begin(), kDays.end(), day) == kDays.end())
      reader.fault("days", fmt::format("'{}' is no day; write mon, tue, wed, thu, fri, sat, sun", day));
  if (!window.from.empty() && !is_time_of_day(window.from)) reader.fault("from", "expected HH:MM");
  if (!window.to.empty() && !is_time_of_day(window.to)) reader.fault("to", "expected HH:MM");
  if (window.gates != "switch" && window.gates != "download" && window.gates != "both") reader.fault("gates", "is switch, download or both");
  reader.refuse_unknown();
  return window;
}

void read_strata(ObjectReader& reader, Policy& policy) {
  if (reader.find("strata") == nullptr) return;
  policy.strata = reader.texts("strata", 8, 128);
  for (auto const& name : policy.strata)
    if (auto const checked = check_id("stratum", name); !checked) reader.fault("strata", checked.error().detail);
}

void read_limits_and_approvals(ObjectReader& reader, Policy& policy, Faults& faults) {
  if (auto const* const limits = reader.find("limits")) {
    ObjectReader inner(*limits, reader.pointer("limits"), faults);
    policy.in_flight = inner.integer("in_flight", 0, 100'000'000, 0);
    if (inner.find("egress") != nullptr) {
      auto const rate = wire::parse_rate(inner.text("egress", 40, {}));
      if (rate) policy.egress = *rate;
      else inner.fault("egress", rate.error().detail + ": " + rate.error().hint);
    }
    inner.refuse_unknown();
  }
  if (auto const* const approvals = reader.find("approvals")) {
    ObjectReader inner(*approvals, reader.pointer("approvals"), faults);
    policy.approvals_required = inner.integer("required", 0, 100, 1);
    auto const last = std::max<std::int64_t>(1, policy.stage_count());
    policy.approvals_before_stage = static_cast<int>(inner.integer("before_stage", 1, last, 1));
    inner.refuse_unknown();
  }
  if (auto const* const holdback = reader.find("holdback")) {
    auto const percent = holdback->is_string() ? parse_percent(holdback->get_string()) : std::nullopt;
    if (percent && *percent >= 0 && *percent <= kHoldbackMax) policy.holdback = *percent / 100;
    else reader.fault("holdback", fmt::format("expected a share of the devices up to {} %, such as 5%", kHoldbackMax));
  }
}

template <class Action>
Action read_action(ObjectReader& reader, std::string_view key, Action first, Action second) {
  auto const written = reader.text(key, 16, std::string(to_string(first)));
  if (written == to_string(second)) return second;
  if (written != to_string(first)) reader.fault(key, fmt::format("is {} or {}", to_string(first), to_string(second)));
  return first;
}

Result<Policy> read_preset(std::string_view name, std::string const& pointer) {
  Policy policy;
  policy.preset = name;
  if (is_preset(name)) return policy;
  auto const detail = fmt::format("'{}' is no preset", name.substr(0, 64));
  return Error{Kind::bad_input, "bad_policy", detail, "presets: cautious, standard, fast, small-fleet; or write a policy", {{pointer, detail}}};
}

}  // namespace

Result<Policy> decode_policy(std::string_view text, std::string const& pointer) {
  FLEET_TRY(auto const value, wire::parse_json(text, kPolicyBytesMax));
  if (value.is_string()) return read_preset(value.get_string(), pointer);
  Faults faults;
  Policy policy;
  ObjectReader reader(value, pointer, faults);
  read_stages(reader, policy, faults);
  read_gates(reader, policy, faults);
  policy.on_harm = read_action(reader, "on_harm", OnHarm::rollback, OnHarm::pause);
  policy.on_deadline = read_action(reader, "on_deadline", OnDeadline::pause, OnDeadline::rollback);
  read_device(reader, policy, faults);
  read_strata(reader, policy);
  read_limits_and_approvals(reader, policy, faults);
  if (auto const* const windows = reader.array("windows", kItemsMax))
    for (std::size_t i = 0; i < windows->size(); ++i)
      policy.windows.push_back(read_window((*windows)[i], fmt::format("{}/{}", reader.pointer("windows"), i), faults));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "policy"));
  return policy;
}

Result<Policy> take_policy(Fs& fs, std::string_view text, std::string const& pointer) {
  FLEET_TRY(auto policy, decode_policy(text, pointer));
  Faults faults;
  for (std::size_t i = 0; i < policy.windows.size(); ++i)
    if (auto const zone = Zone::load(fs, policy.windows[i].zone); !zone)
      faults.push_back({fmt::format("{}/windows/{}/zone", pointer, i), fmt::format("{}; {}", zone.error().detail, zone.error().hint)});
  FLEET_CHECK(wire::no_faults(faults, "policy"));
  return policy;
}

}  // namespace fleet::rollout
