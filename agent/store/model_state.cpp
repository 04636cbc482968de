#include "agent/store/model_state.hpp"

#include "core/wire/json.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;
constexpr std::int64_t kNumberMax = std::int64_t{1} << 53;

json::object version_json(Version const& version) { return {{"digest", version.digest}, {"version", version.version}}; }

json::object refusal_json(Refusal const& one) { return {{"digest", one.digest}, {"rollout", one.rollout}, {"attempt", one.attempt}}; }

json::value unproven_json(std::optional<Unproven> const& unproven) {
  return unproven ? json::value(json::object{{"rollout", unproven->rollout}, {"attempt", unproven->attempt}}) : json::value(nullptr);
}

/// What a record says of tries and starts.
void read_runs(wire::ObjectReader& reader, ModelState& out, std::vector<FieldError>& faults) {
  out.tries = static_cast<int>(reader.integer("tries", 0, 1'000'000, 0));
  out.stalled = Millis{reader.integer("stalled_ms", 0, kNumberMax, 0)};
  out.staged_bytes = static_cast<std::uint64_t>(reader.integer("staged_bytes", 0, kNumberMax, 0));
  if (auto const* const run = reader.find("run")) {
    wire::ObjectReader inner(*run, "/run", faults);
    out.run = {static_cast<int>(inner.integer("starts", 0, 1'000'000, 0)), Millis{inner.integer("spent_ms", 0, kNumberMax, 0)},
               inner.integer("inferences", 0, kNumberMax, 0)};
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
                                      {"rollout", state.rollout},
                                      {"attempt", state.attempt},
                                      {"tries", state.tries},
                                      {"stalled_ms", state.stalled.count()},
                                      {"staged_bytes", state.staged_bytes},
                                      {"run", json::object{{"starts", state.run.starts}, {"spent_ms", state.run.spent.count()}, {"inferences", state.run.inferences}}},
                                      {"unproven", unproven_json(state.unproven)},
                                      {"waiting", state.waiting},
                                      {"error", json::object{{"code", state.error.code}, {"text", state.error.text}, {"output", state.error.output}}},
                                      {"refusals", std::move(refusals)},
                                      {"proof", state.proof},
                                      {"proof_done", state.proof_done ? json::value(refusal_json(*state.proof_done)) : json::value(nullptr)},
                                      {"consented", state.consented ? json::value(refusal_json(*state.consented)) : json::value(nullptr)},
                                      {"lock_delay_ms", state.lock_delay.count()},
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
  out.rollout = reader.text("rollout", 64, {});
  out.attempt = reader.integer("attempt", 0, 1'000'000, 0);
  read_runs(reader, out, faults);
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
  out.held = reader.text("held", 64, {});
  out.floor = reader.integer("floor", 0, std::int64_t{1} << 53, 0);
  out.since = reader.time("since").value_or(SysTime{});
  FLEET_CHECK(wire::no_faults(faults, "journal record"));
  return out;
}

}  // namespace fleet::agent
