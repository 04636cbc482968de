#include "server/rollout/engine/verdict_json.hpp"

#include "core/wire/json_pieces.hpp"
#include "server/rollout/policy/json_number.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>
#include <map>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::size_t kHistoryMax = 50;

json::object parse_object(std::string_view text) {
  auto value = wire::parse_own(text);
  return value.is_object() ? value.get_object() : json::object{};
}

json::object gate_json(GateVerdict const& gate) {
  json::object evidence;
  for (auto const& [name, value] : gate.evidence) evidence[name] = json_number<json::value>(value);
  return {{"name", gate.name},
          {"test", gate.test},
          {"decision", to_string(gate.decision)},
          {"text", gate.text},
          {"e_value", json_number<json::value>(gate.e_value)},
          {"threshold", json_number<json::value>(gate.threshold)},
          {"evidence", std::move(evidence)}};
}

std::string text_in(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

double number_in(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

double ratio_of(json::object const& gate) {
  auto const have = number_in(gate, "e_value"), need = number_in(gate, "threshold");
  auto const* const evidence = gate.if_contains("evidence");
  bool const counts = evidence != nullptr && evidence->is_object() && evidence->get_object().contains("need");
  auto const test = text_in(gate, "test");
  bool const holds = text_in(gate, "decision") == to_string(Ruling::hold);
  if (test == "safe" && holds && have >= need) return 0;           // evidence that the stage is to hold: nobody of a stratum has started
  if (have >= need || (test == "harm" && !holds)) return 1;  // a verdict that is latched stands, whatever came since
  auto const ratio = counts ? have / need : need > 1 && have > 0 ? std::log(have) / std::log(need) : 0;
  return std::clamp(ratio, 0., 1.);
}

void add_history(json::object& kept, std::string_view decision, std::string_view reason, SysTime now) {
  auto& history = kept["history"];
  if (!history.is_array()) history = json::array{};
  auto& list = history.get_array();
  list.push_back(json::object{{"time", to_rfc3339(now, true)}, {"decision", decision}, {"reason", reason}});
  if (list.size() > kHistoryMax) list.erase(list.begin(), list.end() - kHistoryMax);
}

}  // namespace

std::string first_verdict(std::int64_t ineligible) {
  return json::serialize(json::object{
      {"decision", "hold"}, {"reason", "not started"}, {"gates", json::array{}}, {"reach", {{"offline", 0}, {"blocked", 0}, {"ineligible", ineligible}}}});
}

std::string updated_verdict(std::string_view text, Verdict const& verdict, Facts const& facts, SysTime now) {
  auto kept = parse_object(text);
  auto const decision = to_string(verdict.decision);
  if (verdict.event || kept["decision"] != json::string(decision)) 
    add_history(kept, verdict.event ? to_string(*verdict.event) : decision, verdict.step.empty() ? verdict.reason : verdict.step, now);
  kept["decision"] = decision;
  kept["reason"] = verdict.reason;
  json::array gates;
  for (auto const& gate : verdict.gates) gates.push_back(gate_json(gate));
  if (!gates.empty()) kept["gates"] = std::move(gates);
  auto& reach = kept["reach"];
  if (!reach.is_object()) reach = json::object{};
  reach.get_object()["offline"] = facts.offline;
  reach.get_object()["blocked"] = facts.blocked;
  reach.get_object()["blocked_by"] = json::array(facts.blocked_by.begin(), facts.blocked_by.end());
  return json::serialize(kept);
}

std::string noted(std::string_view text, std::string_view decision, std::string_view reason, SysTime now) {
  auto kept = parse_object(text);
  add_history(kept, decision, reason, now);
  kept["reason"] = reason;
  return json::serialize(kept);
}

std::string with_history(std::string_view text, std::string_view decision, std::string_view reason, SysTime now) {
  auto kept = parse_object(text);
  add_history(kept, decision, reason, now);
  return json::serialize(kept);
}

std::vector<Nearness> nearness_of(std::string_view text) {
  std::map<std::pair<std::string, std::string>, double> found;
  auto const kept = parse_object(text);
  auto const* const gates = kept.if_contains("gates");
  if (gates == nullptr || !gates->is_array()) return {};
  for (auto const& one : gates->get_array()) {
    if (!one.is_object()) continue;
    auto const test = text_in(one.get_object(), "test");
    auto const ratio = ratio_of(one.get_object());
    auto const [known, fresh] = found.try_emplace({text_in(one.get_object(), "name"), test}, ratio);
    if (!fresh) known->second = test == "safe" ? std::min(known->second, ratio) : std::max(known->second, ratio);
  }
  std::vector<Nearness> out;
  out.reserve(found.size());
  for (auto const& [name, ratio] : found) out.push_back({name.first, name.second, ratio});
  return out;
}

std::string reason_of(std::string_view text) {
  auto const kept = parse_object(text);
  auto const* const reason = kept.if_contains("reason");
  return reason != nullptr && reason->is_string() ? std::string(reason->get_string()) : std::string();
}

std::string encode_latches(Latches const& latches) {
  json::object out;
  for (auto const& [gate, latch] : latches) out[gate] = {{"bad", latch.bad}, {"e_value", latch.e_value}, {"accepted", latch.accepted}};
  return json::serialize(out);
}

Latches decode_latches(std::string_view text) {
  Latches out;
  for (auto const& member : parse_object(text)) {
    auto const* const one = member.value().if_object();
    if (one == nullptr) continue;
    auto const* const bad = one->if_contains("bad");
    auto const* const e_value = one->if_contains("e_value");
    auto const* const accepted = one->if_contains("accepted");
    if (bad == nullptr || e_value == nullptr || accepted == nullptr || !bad->is_number() || !e_value->is_number() || !accepted->is_bool()) continue;
    out[member.key()] = {bad->to_number<std::int64_t>(), e_value->to_number<double>(), accepted->get_bool()};
  }
  return out;
}

}  // namespace fleet::rollout
