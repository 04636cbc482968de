#include "server/api/device_explain.hpp"

#include "core/wire/json_pieces.hpp"
#include "server/catalog/models.hpp"
#include "server/catalog/releases.hpp"
#include "server/delivery/bundles.hpp"
#include "server/registry/devices.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/engine.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::api {
namespace {

namespace json = boost::json;

struct Explained {
  std::string wants;
  std::optional<std::string> has;
  std::vector<rollout::Because> because;
};

/// What holds for every model: the device is out of the fleet, or was not heard.
std::vector<rollout::Because> device_wide(Services& services, registry::Device const& device, SysTime now) {
  std::vector<rollout::Because> out;
  if (device.state != "active") out.push_back({"device_" + device.state, fmt::format("the device is {}: it is told nothing", device.state)});
  if (device.cache) out.push_back({"cache", "it is a cache: it reads objects for others and is told nothing"});
  if (device.clone_suspected_at != SysTime{})
    out.push_back({"clone_suspected", fmt::format("two machines seemed to speak as this device, last at {}: revoke it, or enrol the right one anew and approve that",
                                                  to_rfc3339(device.clone_suspected_at))});
  if (device.state == "active" && !registry::is_online(services.store, device, now)) {
    auto const seen = registry::last_seen(services.store, device);
    auto const never = seen == SysTime{};
    out.push_back({"offline", never ? "the device has never been heard" : fmt::format("the device was last heard at {}", to_rfc3339(seen))});
  }
  return out;
}

/// Whether what the device runs was revoked.
void add_revoked(db::Connection& reader, registry::ModelRow const& row, Explained& out) {
  if (!row.running) return;
  auto const release = catalog::load_release(reader, row.model, *row.running);
  if (!release || release->state != "revoked") return;
  out.because.push_back({"runs_revoked", fmt::format("the device runs {}@{}, which was revoked{}", row.model, *row.running,
                                                     out.wants.empty() ? ": no rollout says what to run in its place" : "")});
}

/// Why a device waits, as it says it, in words. What is not known here is told as it came.
struct Wait {
  std::string_view code, words;
};
constexpr auto kWaits = std::to_array<Wait>({
    {"disk_full", "its disk is full, also after it gave back all it keeps of other releases"},
    {"disk_read_only", "its disk has turned read-only: the file system met errors"},
    {"disk_failed", "its disk answers with errors (EIO)"},
    {"unknown_program", "its owner's agent.yaml names no such program for what the release calls, or the program is not there: exec, programs"},
    {"unknown_user", "the user that its agent.yaml names for programs is gone: exec, run_as"},
    {"run_as_required", "its agent is root and its agent.yaml names no user for programs of releases: exec, run_as"},
    {"run_as_needs_root", "its agent.yaml names another user for programs, which takes an agent that is root: exec, run_as"},
    {"not_started", "its system starts no program for the agent"},
    {"zone", "it does not know the time zone of a window: tzdata is missing or old"},
    {"window", "no maintenance window is open"},
    {"budget", "the bytes that its owner allows in a day are used up"},
    {"held", "its owner rolled back and holds the release"},
    {"encryption", "the server has yet to encrypt this protected release (fleetctl release get shows its routes)"},
    {"no_data_key", "it has no key of its own that the keys of protected models come encrypted to, or another one than it enrolled with: enrol it anew"},
    {"no_memory_dir", "the release may be in memory alone, and agent.yaml names no folder there (memory: {dir: ...})"},
    {"memory_full", "its owner gives models in memory too little room (memory: {max: ...} in agent.yaml)"},
    {"member_busy", "a member of the set is at work by itself"},
});

std::string words_of(std::string const& waiting) {
  auto const found = std::find_if(kWaits.begin(), kWaits.end(), [&](Wait const& one) { return one.code == waiting; });
  return found == kWaits.end() ? waiting : fmt::format("{} ({})", found->words, waiting);
}

/// What the device told of this model.
void add_device_side(registry::ModelRow const& row, Explained& out) {
  if (row.running) out.has = row.running;
  if (row.running_unknown) out.because.push_back({"unknown_release", "the device runs bytes that are no release of this server"});
  if (!row.retest.empty())
    out.because.push_back({"golden_changed", fmt::format("what runs failed when it was tested again on the device ({}); it runs on, and the device's events tell what changed", row.retest)});
  if (!row.variant.empty()) out.because.push_back({"variant", fmt::format("it runs as its variant '{}', by a condition of the device", row.variant)});
  auto const cost = row.to_fetch > 0 ? fmt::format("; it would fetch {} bytes", row.to_fetch) : std::string();
  if (!row.waiting.empty()) out.because.push_back({"device_waits", fmt::format("the device waits: {}{}", words_of(row.waiting), cost)});
  if (row.version.empty() || row.state == "idle" || row.state == "committed") return;
  auto text = fmt::format("the device is at {} with {}@{} since {}", row.state, row.model, row.version, to_rfc3339(row.since));
  if (auto const error = rollout::read_device_error(row.error); !error.code.empty())
    text += fmt::format(": {}{}{}", error.code, error.text.empty() ? "" : ": ", error.text);
  out.because.push_back({"device_" + row.state, std::move(text)});
}

json::array because_json(std::vector<rollout::Because> const& reasons) {
  json::array out;
  for (auto const& one : reasons) out.push_back({{"code", one.code}, {"text", one.text}});
  return out;
}

json::object to_json(std::string const& device, std::string const& model, Explained const& explained) {
  return {{"device", device},
          {"model", model},
          {"wants", wire::text_or_null(explained.wants)},
          {"has", wire::text_or_null(explained.has)},
          {"because", because_json(explained.because)}};
}

/// What other models say of this one, to whoever sees none of them.
rollout::Because unnamed(rollout::Because const& one) {
  if (one.code == "revoked") return {one.code, "a release of this set was revoked, or one of its members"};
  bool const member = one.code == "set";
  return {one.code, member ? "a rollout of another model, a set that this one is a member of, says what it runs"
                           : "a rollout of another model says what a member of this set should run"};
}

/// Rollouts of other devices, and names of other models, are told to those alone who see them.
Result<std::vector<rollout::Because>> within(registry::Limits const& limits, std::vector<rollout::Because> const& reasons) {
  std::vector<rollout::Because> out;
  for (auto const& one : reasons) {
    FLEET_TRY(auto const reach, registry::Selector::parse(one.selector));
    if (one.names_others && !limits.model.empty()) out.push_back(unnamed(one));
    else if (one.code != "not_selected" || limits.cover(reach)) out.push_back(one);
  }
  return out;
}

Result<std::map<std::string, Explained>> explain_all(Services& services, db::Connection& reader, registry::Device const& device, registry::Limits const& limits,
                                                     SysTime now) {
  std::map<std::string, Explained> out;
  FLEET_TRY(auto const facts, registry::load_device_facts(reader, device.n));
  rollout::Decision decision;
  if (!facts.cache) {
    FLEET_TRY(decision, services.rollouts->decide(reader, facts, now));
    FLEET_CHECK(delivery::add_holds(reader, device.n, decision));
  }
  for (auto const& desired : decision.models) {
    if (!limits.covers_model(desired.model)) continue;
    FLEET_TRY(auto because, within(limits, desired.because));
    out[desired.model] = {desired.version, std::nullopt, std::move(because)};
  }
  FLEET_TRY(auto const rows, registry::load_models(reader, device.n, limits));
  for (auto const& row : rows) {
    add_device_side(row, out[row.model]);
    add_revoked(reader, row, out[row.model]);
  }
  auto const wide = device_wide(services, device, now);
  for (auto& [model, explained] : out) {
    explained.because.insert(explained.because.begin(), wide.begin(), wide.end());
    if (explained.because.empty()) explained.because.push_back({"no_rollout", "no rollout says what the device should run"});
  }
  return out;
}

}  // namespace

Result<Reply> explain_device(Services& services, Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"model"}));
  FLEET_TRY(auto const device, registry::load_device(reader, call.path_value("id")));
  FLEET_TRY(auto all, explain_all(services, reader, device, call.actor.limits, call.now));
  Reply reply;
  auto const model = call.query_value("model");
  if (model.empty()) {
    json::array models;
    for (auto const& [name, explained] : all) models.push_back(to_json(device.id, name, explained));
    auto because = because_json(device_wide(services, device, call.now));
    reply.body = json::serialize(json::object{{"device", device.id}, {"because", std::move(because)}, {"models", std::move(models)}});
    return reply;
  }
  if (!all.contains(model)) FLEET_CHECK(catalog::load_model(reader, model));
  if (!all.contains(model)) {
    all[model].because = device_wide(services, device, call.now);
    all[model].because.push_back({"no_rollout", fmt::format("no rollout of {} covers the device", model)});
  }
  reply.body = json::serialize(to_json(device.id, model, all[model]));
  return reply;
}

}  // namespace fleet::api
