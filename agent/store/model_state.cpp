#include "agent/store/model_state.hpp"

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;
constexpr std::size_t kSetsMax = 8;
constexpr std::int64_t kNumberMax = std::int64_t{1} << 53;

json::object version_json(Version const& version) { return {{"digest", version.digest}, {"version", version.version}}; }

json::object refusal_json(Refusal const& one) { return {{"digest", one.digest}, {"rollout", one.rollout}, {"attempt", one.attempt}}; }

json::value unproven_json(std::optional<Unproven> const& unproven) {
  return unproven ? json::value(json::object{{"rollout", unproven->rollout}, {"attempt", unproven->attempt}}) : json::value(nullptr);
}

json::array sets_json(std::vector<SetRecord> const& sets) {
  json::array out;
  for (auto const& set : sets) {
    json::array members;
    for (auto const& member : set.members)
      members.push_back(json::object{{"model", member.model}, {"digest", member.before.digest}, {"version", member.before.version}});
    out.push_back(json::object{{"digest", set.digest}, {"members", std::move(members)}});
  }
  return out;
}

void read_sets(wire::ObjectReader& reader, ModelState& out, std::vector<FieldError>& faults) {
  auto const* const sets = reader.array("sets", kSetsMax);
  for (std::size_t i = 0; sets != nullptr && i < sets->size(); ++i) {
    wire::ObjectReader one((*sets)[i], "/sets", faults);
    SetRecord set{one.required_text("digest", 64), {}};
    auto const* const members = one.array("members", wire::kMembersMax);
    for (std::size_t k = 0; members != nullptr && k < members->size(); ++k) {
      wire::ObjectReader member((*members)[k], "/sets/members", faults);
      set.members.push_back({member.required_text("model", 64), {member.text("digest", 64, {}), member.text("version", 64, {})}});
    }
    out.sets.push_back(std::move(set));
  }
}

/// Of one part a number, of several a list.
json::value inferences_json(std::vector<std::int64_t> const& counts) {
  if (counts.size() > 1) return json::array(counts.begin(), counts.end());
  return counts.empty() ? 0 : counts.front();
}

std::vector<std::int64_t> read_inferences(wire::ObjectReader& reader) {
  auto const* const value = reader.find("inferences");
  if (value == nullptr || !value->is_array()) return {reader.integer("inferences", 0, kNumberMax, 0)};
  std::vector<std::int64_t> out;
  for (auto const& one : value->get_array()) out.push_back(one.is_int64() ? one.get_int64() : 0);
  return out;
}

/// What a record says of tries and starts.
void read_runs(wire::ObjectReader& reader, ModelState& out, std::vector<FieldError>& faults) {
  out.tries = static_cast<int>(reader.integer("tries", 0, 1'000'000, 0));
  out.stalled = Millis{reader.integer("stalled_ms", 0, kNumberMax, 0)};
  out.staged_bytes = static_cast<std::uint64_t>(reader.integer("staged_bytes", 0, kNumberMax, 0));
  if (auto const* const run = reader.find("run")) {
    wire::ObjectReader inner(*run, "/run", faults);
    out.run = {static_cast<int>(inner.integer("starts", 0, 1'000'000, 0)), Millis{inner.integer("spent_ms", 0, kNumberMax, 0)},
               read_inferences(inner)};
  }
  if (auto const* const unproven = reader.find("unproven"); unproven != nullptr && !unproven->is_null()) {
    wire::ObjectReader inner(*unproven, "/unproven", faults);
    out.unproven = Unproven{inner.text("rollout", 64, {}), inner.integer("attempt", 0, 1'000'000, 0)};
  }
}

Refusal read_refusal(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  wire::ObjectReader reader(value, std::move(pointer), faults);
  return {reader.text("digest", 64, {}), reader.text("rollout", 64, {}), reader.integer("attempt", 0, 1'000'000, 0)};
}

Version read_version(wire::ObjectReader& parent, std::string_view key, std::vector<FieldError>& faults) {
  auto const* const value = parent.find(key);
  if (value == nullptr) return {};
  wire::ObjectReader reader(*value, parent.pointer(key), faults);
  return {reader.text("digest", 64, {}), reader.text("version", 64, {})};
}

json::value checked_json(Checked const& checked) {
  if (checked.digest.empty()) return nullptr;
  return json::object{{"digest", checked.digest}, {"at", to_rfc3339(checked.at, true)}, {"system", checked.system},
                      {"code", checked.code},     {"text", checked.text},               {"starts", checked.starts}};
}

void read_checked(wire::ObjectReader& parent, ModelState& out, std::vector<FieldError>& faults) {
  auto const* const value = parent.find("checked");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/checked", faults);
  out.checked = {reader.text("digest", 64, {}), reader.time("at").value_or(SysTime{}), reader.text("system", 64, {}),
                 reader.text("code", 64, {}),   reader.text("text", 4096, {}),           static_cast<int>(reader.integer("starts", 0, 1'000, 0))};
}

}  // namespace

std::optional<State> state_of(std::string_view name) {
  auto const found = std::find(kStateNames.begin(), kStateNames.end(), name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<State>(found - kStateNames.begin());
}

std::string encode(ModelState const& state) {
  json::array refusals;
  for (auto const& refusal : state.refusals) refusals.push_back(refusal_json(refusal));
  return json::serialize(json::object{{"model", state.model},
                                      {"state", to_string(state.state)},
                                      {"running", version_json(state.running)},
                                      {"previous", version_json(state.previous)},
                                      {"older", version_json(state.older)},
                                      {"target", version_json(state.target)},
                                      {"former", json::array(state.former.begin(), state.former.end())},
                                      {"sets", sets_json(state.sets)},
                                      {"rollout", state.rollout},
                                      {"attempt", state.attempt},
                                      {"tries", state.tries},
                                      {"stalled_ms", state.stalled.count()},
                                      {"staged_bytes", state.staged_bytes},
                                      {"run", json::object{{"starts", state.run.starts}, {"spent_ms", state.run.spent.count()}, {"inferences", inferences_json(state.run.inferences)}}},
                                      {"unproven", unproven_json(state.unproven)},
                                      {"memory_needed", state.memory_needed},
                                      {"waiting", state.waiting},
                                      {"error", json::object{{"code", state.error.code}, {"text", state.error.text}, {"output", state.error.output}}},
                                      {"refusals", std::move(refusals)},
                                      {"proof", state.proof},
                                      {"proof_done", state.proof_done ? json::value(refusal_json(*state.proof_done)) : json::value(nullptr)},
                                      {"consented", state.consented ? json::value(refusal_json(*state.consented)) : json::value(nullptr)},
                                      {"lock_delay_ms", state.lock_delay.count()},
                                      {"checked", checked_json(state.checked)},
                                      {"variant", state.variant},
                                      {"held", state.held},
                                      {"floor", state.floor},
                                      {"since", to_rfc3339(state.since, true)}});
}

Result<ModelState> decode_model_state(std::string_view text) {
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  ModelState out;
  out.model = reader.required_text("model", 64);
  auto const state = state_of(reader.required_text("state", 32));
  if (state) out.state = *state;
  else reader.fault("state", "is no state of the update machine");
  out.running = read_version(reader, "running", faults);
  out.previous = read_version(reader, "previous", faults);
  out.older = read_version(reader, "older", faults);
  out.target = read_version(reader, "target", faults);
  out.former = reader.texts("former", 64, 64);
  read_sets(reader, out, faults);
  out.rollout = reader.text("rollout", 64, {});
  out.attempt = reader.integer("attempt", 0, 1'000'000, 0);
  read_runs(reader, out, faults);
  out.memory_needed = static_cast<std::uint64_t>(reader.integer("memory_needed", 0, kNumberMax, 0));
  out.waiting = reader.text("waiting", 64, {});
  if (auto const* const error = reader.find("error")) {
    wire::ObjectReader inner(*error, "/error", faults);
    out.error = {inner.text("code", 64, {}), inner.text("text", 4096, {}), inner.text("output", 8192, {})};
  }
  if (auto const* const refusals = reader.array("refusals", 64))
    for (auto const& item : *refusals) out.refusals.push_back(read_refusal(item, "/refusals", faults));
  out.proof = reader.boolean("proof", false);
  if (auto const* const done = reader.find("proof_done"); done != nullptr && !done->is_null()) out.proof_done = read_refusal(*done, "/proof_done", faults);
  if (auto const* const word = reader.find("consented"); word != nullptr && !word->is_null()) out.consented = read_refusal(*word, "/consented", faults);
  out.lock_delay = Millis{reader.integer("lock_delay_ms", 0, kNumberMax, 0)};
  read_checked(reader, out, faults);
  out.variant = reader.text("variant", 32, {});
  out.held = reader.text("held", 64, {});
  out.floor = reader.integer("floor", 0, std::int64_t{1} << 53, 0);
  out.since = reader.time("since").value_or(SysTime{});
  FLEET_CHECK(wire::no_faults(faults, "journal record"));
  return out;
}

}  // namespace fleet::agent
