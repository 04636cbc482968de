#include "server/rollout/policy/policy.hpp"

#include "core/stats/absolute.hpp"
#include "server/rollout/policy/json_number.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

std::string share_text(double share) { return fmt::format("{:.10g}%", share * 100); }

json::object stage_json(StageSpec const& stage) {
  json::object out;
  if (stage.percent) out["percent"] = json_number<json::value>(*stage.percent);
  if (stage.devices) out["devices"] = *stage.devices;
  if (stage.bake > Millis{0}) out["bake"] = fleet::to_string(stage.bake);
  if (stage.min_devices > 0) out["min_devices"] = stage.min_devices;
  if (stage.deadline > Millis{0}) out["deadline"] = fleet::to_string(stage.deadline);
  return out;
}

json::object gates_json(Policy const& policy) {
  json::object out;
  if (policy.silent) out["silent"] = {{"after_reports", policy.silent->after_reports}, {"devices_max", share_text(policy.silent->devices_max)}};
  json::array absolute;
  for (auto const& gate : policy.absolute) {
    json::object one{{"metric", gate.metric}};
    if (gate.min) one["min"] = json_number<json::value>(*gate.min);
    if (gate.max) one["max"] = json_number<json::value>(*gate.max);
    if (gate.metric != kInstallFailure) one["samples"] = gate.samples;
    one["devices_max"] = share_text(gate.devices_max);
    absolute.push_back(std::move(one));
  }
  if (!absolute.empty()) out["absolute"] = std::move(absolute);
  json::array shares;
  for (double const share : policy.certify) shares.push_back(json::string(share_text(share)));
  if (!shares.empty()) out["certify"] = {{"devices_max", std::move(shares)}};
  return out;
}

json::array texts_json(std::vector<std::string> const& texts) {
  json::array out;
  for (auto const& text : texts) out.push_back(json::string(text));
  return out;
}

json::object device_json(wire::Conditions const& device) {
  json::object out{{"attempts", device.attempts},
                   {"give_up", fleet::to_string(device.give_up)},
                   {"waiting_max", fleet::to_string(device.waiting_max)},
                   {"metered", device.metered}};
  if (device.battery_min_percent > 0) out["battery_min"] = fmt::format("{}%", device.battery_min_percent);
  if (device.metered_max_bytes > 0) out["metered_max"] = device.metered_max_bytes;
  return out;
}

/// What a preset is made of. Shares in percent, times in minutes.
struct PresetStage {
  double percent;
  int bake_min, min_devices, deadline_min;
  double certify;
};
struct Preset {
  std::string_view name;
  double install_failure_max;
  std::array<PresetStage, 4> stages;  ///< percent 0: no stage
};
constexpr auto kPresets = std::to_array<Preset>({
    {"cautious", 1, {{{1, 120, 20, 2880, 15}, {5, 360, 50, 2880, 8}, {25, 720, 100, 4320, 4}, {100, 1440, 100, 0, 2}}}},
    {"standard", 2, {{{5, 30, 10, 1440, 30}, {25, 120, 34, 1440, 10}, {100, 360, 70, 0, 5}, {0, 0, 0, 0, 0}}}},
    {"fast", 5, {{{10, 5, 4, 360, 60}, {100, 30, 10, 0, 30}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}}},
    {"small-fleet", 5, {{{10, 60, 1, 4320, 97}, {50, 120, 3, 4320, 80}, {100, 360, 4, 0, 60}, {0, 0, 0, 0, 0}}}},
});

}  // namespace

std::optional<double> Policy::certify_at(int index) const {
  if (certify.empty()) return std::nullopt;
  return certify[std::min(static_cast<std::size_t>(index - 1), certify.size() - 1)];
}

std::string encode(Policy const& policy) {
  json::array stages, windows;
  for (auto const& stage : policy.stages) stages.push_back(stage_json(stage));
  for (auto const& window : policy.windows)
    windows.push_back(
        json::object{{"zone", window.zone}, {"days", texts_json(window.days)}, {"from", window.from}, {"to", window.to}, {"gates", window.gates}});
  json::object out{{"stages", std::move(stages)}, {"gates", gates_json(policy)}};
  out["on_harm"] = to_string(policy.on_harm);
  out["on_deadline"] = to_string(policy.on_deadline);
  out["device"] = device_json(policy.device);
  out["strata"] = texts_json(policy.strata);
  json::object limits;
  if (policy.in_flight > 0) limits["in_flight"] = policy.in_flight;
  if (policy.egress > 0) limits["egress"] = fmt::format("{}B/s", policy.egress);
  if (!limits.empty()) out["limits"] = std::move(limits);
  if (policy.holdback > 0) out["holdback"] = share_text(policy.holdback);
  if (!windows.empty()) out["windows"] = std::move(windows);
  if (policy.approvals_required > 0) out["approvals"] = {{"required", policy.approvals_required}, {"before_stage", policy.approvals_before_stage}};
  return json::serialize(out);
}

Result<Policy> preset(std::string_view name, std::string const& pointer) {
  auto const* const found = std::find_if(kPresets.begin(), kPresets.end(), [&](Preset const& one) { return one.name == name; });
  if (found == kPresets.end()) {
    auto const detail = fmt::format("'{}' is no preset", name.substr(0, 64));
    return Error{Kind::bad_input, "bad_policy", detail, "presets: cautious, standard, fast, small-fleet; or write a policy", {{pointer, detail}}};
  }
  Policy policy;
  policy.absolute.push_back({std::string(kInstallFailure), {}, {}, 1, found->install_failure_max / 100});
  policy.silent = SilentGate{};
  for (auto const& stage : found->stages) {
    if (stage.percent == 0) break;
    policy.stages.push_back({stage.percent, {}, std::chrono::minutes(stage.bake_min), stage.min_devices, std::chrono::minutes(stage.deadline_min)});
    policy.certify.push_back(stage.certify / 100);
  }
  return policy;
}

std::string_view to_string(OnHarm action) { return action == OnHarm::rollback ? "rollback" : "pause"; }
std::string_view to_string(OnDeadline action) { return action == OnDeadline::rollback ? "rollback" : "pause"; }
std::string needed_text(std::optional<std::int64_t> devices) {
  return devices ? fmt::format("{}", *devices) : fmt::format("more than {}", stats::kDevicesMax);
}

std::string percent_text(double share) { return fmt::format("{:.3g} %", share * 100); }

}  // namespace fleet::rollout
