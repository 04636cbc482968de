#include "server/api/metrics_rollouts.hpp"

#include "server/rollout/shell/live.hpp"
#include "server/rollout/shell/record.hpp"

#include <algorithm>

namespace fleet::api {
namespace {

using Live = rollout::LiveRollout;

struct Outcome {
  std::string_view state;
  std::int64_t Live::*devices;
};
constexpr auto kOutcomes = std::to_array<Outcome>(
    {{"healthy", &Live::healthy}, {"failed", &Live::failed}, {"silent", &Live::silent}, {"undecided", &Live::undecided}});

struct Moment {
  std::string_view name, help;
  std::optional<SysTime> Live::*at;
};
constexpr auto kMoments = std::to_array<Moment>({
    {"fleet_rollout_stage_started_timestamp_seconds", "When a live rollout's stage began.", &Live::stage_since},
    {"fleet_rollout_stage_deadline_timestamp_seconds", "When a live rollout's stage pauses or is rolled back, if it has not passed by then; none where its policy sets none.",
     &Live::deadline},
});

/// Those that nothing is in as well: what comes from 0 has risen.
Result<void> add_states(db::Connection& reader, Exposition& out) {
  FLEET_TRY(auto const counted, rollout::count_by_state(reader));
  out.family("fleet_rollouts", "Rollouts by state.");
  for (auto const state : rollout::kStateNames) {
    auto const found = std::find_if(counted.begin(), counted.end(), [&](auto const& one) { return one.first == state; });
    out.add({{"state", state}}, found == counted.end() ? 0 : found->second);
  }
  return {};
}

}  // namespace

Result<void> add_rollouts(db::Connection& reader, Exposition& out) {
  FLEET_CHECK(add_states(reader, out));
  FLEET_TRY(auto const live, rollout::list_live(reader));
  out.family("fleet_rollout_info", "1 for each of the newest 100 live rollouts, with what it brings and its state.");
  for (auto const& one : live) out.add({{"rollout", one.id}, {"model", one.model}, {"version", one.version}, {"state", one.state}}, 1);
  out.family("fleet_rollout_devices", "Devices that a live rollout told, without controls, by what they came to at first.");
  for (auto const& one : live)
    for (auto const& [state, devices] : kOutcomes) out.add({{"rollout", one.id}, {"model", one.model}, {"state", state}}, one.*devices);
  out.family("fleet_rollout_stage", "The stage that a live rollout is in, counted from 1; 0 before it starts.");
  for (auto const& one : live) out.add({{"rollout", one.id}, {"model", one.model}}, one.stage);
  for (auto const& [name, help, at] : kMoments) {
    out.family(name, help);
    for (auto const& one : live)
      if (one.*at) out.add({{"rollout", one.id}, {"model", one.model}}, static_cast<double>(to_unix_ms(*(one.*at))) / 1000);
  }
  out.family("fleet_rollout_gate_evidence_ratio",
             "How far a gate of a live rollout is, 1 being its verdict: test harm stops the rollout there, safe lets the stage pass, win names a winner.");
  for (auto const& one : live)
    for (auto const& [gate, test, ratio] : one.gates) out.add({{"rollout", one.id}, {"model", one.model}, {"gate", gate}, {"test", test}}, ratio);
  return {};
}

}  // namespace fleet::api
