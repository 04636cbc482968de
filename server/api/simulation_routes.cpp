#include "server/api/route.hpp"
#include "server/rollout/shell/presence.hpp"
#include "server/simulation/study.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::api {
namespace {

using simulation::Study;

/// Of nobody's fleet, unless it is asked for this one's past.
constexpr Scope kSimulate{Bound::open, Bound::open, {{Place::body, "history", Thing::whole_fleet}}};
constexpr std::size_t kBodyMax = 256 * 1024;
constexpr std::int64_t kSeedMax = 1'000'000'000;

Result<Study> read_study(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  Study study;
  auto const* const policy = reader.find("policy");
  auto const* const scenario = reader.find("scenario");
  if (policy == nullptr && reader.valid()) reader.fault("policy", "is required: a policy, or cautious, standard, fast or small-fleet");
  bool const from_history = reader.boolean("history", false);
  std::int64_t fleet = study.devices;
  if (from_history) {
    FLEET_TRY(auto const past, rollout::load_past(services.store.reader(), call.now));
    study.learned = simulation::learn(past, study.scenario);
    study.scenario = study.learned->scenario;
    fleet = std::clamp<std::int64_t>(past.devices, 1, simulation::kWorkMax / study.runs);
  }
  study.devices = static_cast<int>(reader.integer("devices", 1, simulation::kDevicesMax, fleet));
  study.runs = static_cast<int>(reader.integer("runs", 1, simulation::kRunsMax, study.runs));
  study.seed = static_cast<std::uint64_t>(reader.integer("seed", 0, kSeedMax, static_cast<std::int64_t>(services.random.next() % kSeedMax)));
  if (std::int64_t{study.devices} * study.runs > simulation::kWorkMax)
    reader.fault("runs", fmt::format("{} devices times {} runs are more than {}", study.devices, study.runs, simulation::kWorkMax));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(study.policy, rollout::take_policy(services.fs, boost::json::serialize(*policy), "/policy"));
  FLEET_TRY(study.scenario, simulation::decode_scenario(scenario == nullptr ? "{}" : boost::json::serialize(*scenario), "/scenario", study.scenario));
  study.effort_max = simulation::kEffortMax;
  return study;
}

Result<Reply> simulate(Services& services, Call const& call) {
  FLEET_TRY(auto const study, read_study(services, call));
  Reply reply;
  FLEET_TRY(reply.body, simulation::study_json(study));
  return reply;
}

}  // namespace

std::vector<Route> const& simulation_routes() {
  static std::vector<Route> const routes{{net::Method::post, "/api/v1/rollouts:simulate", Permission::operate, kSimulate, &simulate, kBodyMax, Listener::api, Pool::simulations}};
  return routes;
}

}  // namespace fleet::api
