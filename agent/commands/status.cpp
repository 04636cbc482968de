#include "agent/commands/daemon.hpp"
#include "agent/conditions/sensors.hpp"
#include "agent/proof/own_reason.hpp"
#include "core/proof/budget.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace json = boost::json;
namespace {

std::string waiting_words(ModelState const& state) {
  auto const& version = state.target.version;
  if (state.waiting == "consent") return fmt::format("{} waits for the device's owner: fleet-agent consent --model {}", version, state.model);
  if (state.waiting == kUpdateLock) return fmt::format("a program of the device's owner holds the lock, and nothing is switched meanwhile (agent.yaml, update_lock)");
  if (!reason_in_config(state.waiting).empty() || state.waiting == "not_started")
    return fmt::format("{} waits until this device can run its programs ({}), and is tried again: fleet-agent check-config", version, state.waiting);
  if (state.waiting == "memory" && state.memory_needed > 0)
    return fmt::format("{} waits for free memory: to load it beside what runs takes {}; where its app drops the old one first, name {} under unload_first in agent.yaml", version,
                       proof::memory_text(state.memory_needed), state.model);
  if (state.to_fetch > 0) return fmt::format("{} waits: {}; it would fetch {} bytes", version, state.waiting, state.to_fetch);
  return fmt::format("{} waits: {}", version, state.waiting);
}

/// What conditions of a policy are judged by; null: this device does not know, and such a condition holds nothing back here.
json::object readings_json(Context const& context) {
  Sensors const sensors(context);
  auto const told = [](auto const& reading) { return reading ? json::value(*reading) : json::value(nullptr); };
  return {{"battery", told(sensors.battery())}, {"charging", told(sensors.is_charging())},     {"temperature", told(sensors.temperature())},
          {"load", told(sensors.load())},       {"memory_free", told(sensors.memory_free())}, {"disk_free", told(sensors.disk_free())}};
}

}  // namespace

std::vector<Reason> reasons_of(ModelState const& state) {
  std::vector<Reason> out;
  if (!state.held.empty()) out.push_back({"held", fmt::format("the owner rolled back and holds release {}", state.held.substr(0, 12))});
  if (!state.waiting.empty()) out.push_back({state.waiting, waiting_words(state)});
  if (!state.error.code.empty()) out.push_back({state.error.code, state.error.text});
  if (auto const& checked = state.checked; !checked.code.empty() && checked.digest == state.running.digest)
    out.push_back({checked.code, fmt::format("{} runs, and failed when it was tested again at {}: {}", state.running.version, to_rfc3339(checked.at), checked.text)});
  if (out.empty() && state.state == State::committed) out.push_back({"committed", fmt::format("{} runs and proved healthy", state.running.version)});
  if (out.empty() && state.state == State::proved) out.push_back({"proved", fmt::format("{} runs and proved healthy once more", state.running.version)});
  if (!state.variant.empty()) out.push_back({"variant", fmt::format("it runs as its variant '{}', by a condition of this device", state.variant)});
  if (out.empty()) out.push_back({std::string(to_string(state.state)), fmt::format("the update machine is {}", to_string(state.state))});
  return out;
}

std::string status_json(Context const& context, std::map<std::string, ModelState> const& models, StatusView const& view) {
  auto const version = [](Version const& one) { return one.none() ? json::value(nullptr) : json::value(json::string(one.version)); };
  json::array list;
  for (auto const& [name, state] : models) {
    json::array because;
    for (auto const& [code, text] : reasons_of(state)) because.push_back(json::object{{"code", code}, {"text", text}});
    list.push_back(json::object{{"model", name},
                                {"running", version(state.running)},
                                {"variant", state.variant.empty() ? json::value(nullptr) : json::value(json::string(state.variant))},
                                {"previous", version(state.previous)},
                                {"target", version(state.target)},
                                {"state", to_string(state.state)},
                                {"held", !state.held.empty()},
                                {"since", to_rfc3339(state.since)},
                                {"because", std::move(because)}});
  }
  json::value const contact = view.last_contact == SysTime{} ? json::value(nullptr) : json::value(json::string(to_rfc3339(view.last_contact)));
  return json::serialize(json::object{{"id", context.identity.id},
                                      {"agent", FLEET_VERSION},
                                      {"server", view.server},
                                      {"last_contact", contact},
                                      {"last_error", view.last_error},
                                      {"clock", json::object{{"time", to_rfc3339(context.clock.wall())}, {"trusted", to_rfc3339(context.trusted.now())}}},
                                      {"models", std::move(list)},
                                      {"conditions", readings_json(context)},
                                      {"spool", json::object{{"waits", context.spool->has_items()}, {"bytes", context.spool->bytes()}}}});
}

}  // namespace fleet::agent
