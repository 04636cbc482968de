#include "agent/commands/install.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <array>

namespace fleet::agent {
namespace json = boost::json;
namespace {

struct Outcome {
  std::string_view name = "working";
  wire::DeviceError error;
};

bool is_told(Told const& told, wire::DirectiveTarget const& target) {
  for (auto const& one : told.targets)
    if (one.model == target.model) return digest_of(one) == digest_of(target);
  return false;
}

Outcome outcome_of(wire::DirectiveTarget const& target, ModelState const& state, std::int64_t sequence, Told const& told) {
  auto const digest = digest_of(target);
  bool const rests = at_rest(state.state);
  if (rests && state.running.digest == digest && !state.unproven) return {"done", {}};
  if (state.held == digest) return {"failed", {"held", fmt::format("the device's owner holds it: fleet-agent unhold --model {}", target.model), {}}};
  bool const ours = state.rollout == target.rollout && state.attempt == target.attempt && state.target.digest == digest;
  if (rests && ours && state.state != State::idle) return {"failed", state.error};
  if (told.sequence > sequence && !is_told(told, target) && (!ours || rests))
    return {"failed", {"superseded", "the server told this device something else meanwhile", {}}};
  return {};
}

}  // namespace

std::string installing_json(Installing const& installing, std::map<std::string, ModelState> const& models, Told const& told, std::string const& lost) {
  static constexpr std::array<std::string_view, 3> kStates{"waits", "accepted", "refused"};
  json::array targets;
  for (auto const& target : installing.targets) {
    if (!target.set.empty()) continue;  // a member goes with its set
    auto const found = models.find(target.model);
    auto const state = found == models.end() ? ModelState{} : found->second;
    auto const [name, error] = outcome_of(target, state, installing.sequence, told);
    auto const version = version_of_path(target.model, target.path);
    json::object one{{"model", target.model}, {"version", version ? *version : std::string()}, {"outcome", name}, {"state", to_string(state.state)}, {"waiting", state.waiting}};
    if (!error.code.empty()) one["error"] = json::object{{"code", error.code}, {"text", error.text}, {"output", error.output}};
    targets.push_back(std::move(one));
  }
  json::object out{{"install", installing.n}, {"state", kStates[static_cast<std::size_t>(installing.state)]}, {"targets", std::move(targets)}};
  if (installing.error)
    out["refusal"] = json::object{{"kind", to_string(installing.error->kind)}, {"code", installing.error->code}, {"detail", installing.error->detail}, {"hint", installing.error->hint}};
  if (!lost.empty()) out["lost"] = lost;
  return json::serialize(out);
}

}  // namespace fleet::agent
