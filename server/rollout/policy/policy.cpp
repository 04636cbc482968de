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
  if (stage.size.percent) out["percent"] = json_number<json::value>(*stage.size.percent);
  if (stage.size.devices) out["devices"] = *stage.size.devices;
  if (stage.window > 0) out["window"] = stage.window;
  if (stage.every > Millis{0}) out["every"] = fleet::to_string(stage.every);
  if (stage.grow != 1) out["grow"] = json_number<json::value>(stage.grow);
  if (stage.cap.percent) out["cap"] = fmt::format("{:.10g}%", *stage.cap.percent);
  if (stage.cap.devices) out["cap"] = *stage.cap.devices;
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

}  // namespace

std::optional<double> Policy::certify_at(int index) const {
  if (certify.empty()) return std::nullopt;
  return certify[std::min(static_cast<std::size_t>(index - 1), certify.size() - 1)];
}

std::optional<double> Policy::odds_ratio_at(int index) const {
  if (!failures || failures->max_odds_ratio.empty()) return std::nullopt;
  auto const& ratios = failures->max_odds_ratio;
  return ratios[std::min(static_cast<std::size_t>(index - 1), ratios.size() - 1)];
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

std::string_view to_string(OnHarm action) { return action == OnHarm::rollback ? "rollback" : "pause"; }
std::string_view to_string(OnDeadline action) { return action == OnDeadline::rollback ? "rollback" : "pause"; }
std::string needed_text(std::optional<std::int64_t> devices) {
  return devices ? fmt::format("{}", *devices) : fmt::format("more than {}", stats::kDevicesMax);
}

std::string percent_text(double share) { return fmt::format("{:.3g} %", share * 100); }

}  // namespace fleet::rollout
