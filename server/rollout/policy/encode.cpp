#include "server/rollout/policy/amounts.hpp"
#include "server/rollout/policy/json_number.hpp"
#include "server/rollout/policy/policy.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

json::value number(double value) { return json_number<json::value>(value); }

json::array numbers(std::vector<double> const& values) {
  json::array out;
  for (double const value : values) out.push_back(number(value));
  return out;
}

json::array texts(std::vector<std::string> const& values) {
  json::array out;
  for (auto const& value : values) out.push_back(json::string(value));
  return out;
}

json::object stage_json(StageSpec const& stage) {
  json::object out;
  if (stage.size.percent) out["percent"] = number(*stage.size.percent);
  if (stage.size.devices) out["devices"] = *stage.size.devices;
  if (stage.window > 0) out["window"] = stage.window;
  if (stage.every > Millis{0}) out["every"] = fleet::to_string(stage.every);
  if (stage.grow != 1) out["grow"] = number(stage.grow);
  if (stage.cap.percent) out["cap"] = percent_sign_text(*stage.cap.percent);
  if (stage.cap.devices) out["cap"] = *stage.cap.devices;
  if (stage.bake > Millis{0}) out["bake"] = fleet::to_string(stage.bake);
  if (stage.min_devices > 0) out["min_devices"] = stage.min_devices;
  if (stage.deadline > Millis{0}) out["deadline"] = fleet::to_string(stage.deadline);
  return out;
}

json::object test_json(AbTest const& test, StageSpec const& arm) {
  json::object out{{"against", test.against}, {"share", share_text(test.share)}, {"every", fleet::to_string(arm.every)},
                   {"grow", number(arm.grow)}, {"bake", fleet::to_string(arm.bake)}, {"deadline", fleet::to_string(arm.deadline)}};
  if (arm.window > 0) out["window"] = arm.window;
  return out;
}

json::object failures_json(FailuresGate const& gate) {
  json::object out{{"harm_alpha", number(gate.harm_alpha)}, {"alternatives", numbers(gate.alternatives)}};
  if (!gate.max_odds_ratio.empty()) out["max_odds_ratio"] = numbers(gate.max_odds_ratio);
  return out;
}

json::object absolute_json(AbsoluteGate const& gate) {
  json::object out{{"metric", gate.metric}};
  if (gate.min) out["min"] = number(*gate.min);
  if (gate.max) out["max"] = number(*gate.max);
  if (gate.metric != kInstallFailure) {
    out["block"] = fleet::to_string(gate.block);
    out["blocks"] = gate.blocks;
    out["samples"] = gate.samples;
  }
  out["devices_max"] = share_text(gate.devices_max);
  if (gate.alpha) out["alpha"] = number(*gate.alpha);
  return out;
}

json::object metric_json(MetricGate const& gate) {
  json::object out{{"name", gate.name}};
  if (gate.quantile) out["quantile"] = number(*gate.quantile);
  out["worse"] = gate.higher_is_worse ? "higher" : "lower";
  out["margin"] = share_text(gate.margin);
  return out;
}

json::object gates_json(Policy const& policy) {
  json::object out;
  if (policy.failures) out["failures"] = failures_json(*policy.failures);
  if (auto const& silent = policy.silent)
    out["silent"] = {{"after_reports", silent->after_reports}, {"devices_max", share_text(silent->devices_max)}, {"harm_alpha", number(silent->harm_alpha)}};
  json::array absolute, metrics, shares;
  for (auto const& gate : policy.absolute) absolute.push_back(absolute_json(gate));
  for (auto const& gate : policy.metrics) metrics.push_back(metric_json(gate));
  for (double const share : policy.certify) shares.push_back(json::string(share_text(share)));
  if (!absolute.empty()) out["absolute"] = std::move(absolute);
  if (!metrics.empty()) out["metrics"] = std::move(metrics);
  if (policy.drift) out["drift"] = {{"metrics", texts(policy.drift->metrics)}, {"action", policy.drift->rolls_back ? "rollback" : "pause"}};
  if (!shares.empty()) out["certify"] = {{"devices_max", std::move(shares)}, {"evidence", number(policy.certify_evidence)}};
  return out;
}

json::object device_json(wire::Conditions const& device) {
  json::object out{{"attempts", device.attempts},
                   {"give_up", fleet::to_string(device.give_up)},
                   {"waiting_max", fleet::to_string(device.waiting_max)},
                   {"metered", device.metered}};
  if (device.battery_min_percent > 0) out["battery_min"] = fmt::format("{}%", device.battery_min_percent);
  if (device.metered_max_bytes > 0) out["metered_max"] = device.metered_max_bytes;
  if (device.charging) out["charging"] = true;
  if (device.temperature_max) out["temperature_max"] = number(*device.temperature_max);
  if (device.load_max) out["load_max"] = number(*device.load_max);
  if (device.memory_free_min > 0) out["memory_free_min"] = device.memory_free_min;
  if (device.disk_free_min > 0) out["disk_free_min"] = device.disk_free_min;
  return out;
}

json::object limits_json(Policy const& policy) {
  json::object out;
  if (policy.in_flight > 0) out["in_flight"] = policy.in_flight;
  if (policy.egress > 0) out["egress"] = fmt::format("{}B/s", policy.egress);
  if (policy.per_place) {
    out["per"] = policy.per_place->label;
    out["at_once"] = policy.per_place->at_once;
  }
  return out;
}

void add_times(Policy const& policy, json::object& out) {
  json::array windows, freezes;
  for (auto const& window : policy.windows)
    windows.push_back(
        json::object{{"zone", window.zone}, {"days", texts(window.days)}, {"from", window.from}, {"to", window.to}, {"gates", window.gates}});
  for (auto const& freeze : policy.freeze) freezes.push_back(json::object{{"from", to_rfc3339(freeze.from, true)}, {"to", to_rfc3339(freeze.to, true)}});
  if (!windows.empty()) out["windows"] = std::move(windows);
  if (!freezes.empty()) out["freeze"] = std::move(freezes);
  if (policy.start_at) out["start_at"] = to_rfc3339(*policy.start_at, true);
}

}  // namespace

std::string encode(Policy const& policy) {
  if (!policy.preset.empty()) return json::serialize(json::value(policy.preset));
  json::object out;
  if (policy.ab) {
    out["ab"] = test_json(*policy.ab, policy.stages.at(0));
  } else {
    json::array stages;
    for (auto const& stage : policy.stages) stages.push_back(stage_json(stage));
    out["stages"] = std::move(stages);
  }
  out["gates"] = gates_json(policy);
  if (policy.compares() || policy.controls != Policy{}.controls) out["control"] = {{"per_canary", policy.controls}};
  out["on_harm"] = to_string(policy.on_harm);
  out["on_deadline"] = to_string(policy.on_deadline);
  out["device"] = device_json(policy.device);
  out["strata"] = texts(policy.strata);
  if (auto limits = limits_json(policy); !limits.empty()) out["limits"] = std::move(limits);
  if (policy.retry)
    out["retry"] = {{"attempts", policy.retry->attempts}, {"backoff", fleet::to_string(policy.retry->backoff)}, {"backoff_max", fleet::to_string(policy.retry->backoff_max)}};
  if (policy.holdback > 0) out["holdback"] = share_text(policy.holdback);
  add_times(policy, out);
  if (policy.approvals_required > 0 || policy.approvals_before_stage > 1)
    out["approvals"] = {{"required", policy.approvals_required}, {"before_stage", policy.approvals_before_stage}};
  if (policy.priority != 0) out["priority"] = policy.priority;
  if (policy.emergency) out["emergency"] = true;
  return json::serialize(out);
}

}  // namespace fleet::rollout
