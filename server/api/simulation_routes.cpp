#include "server/api/route.hpp"
#include "server/simulation/study.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <array>

namespace fleet::api {
namespace {

using simulation::BadKind;
using simulation::Study;

constexpr std::size_t kBodyMax = 256 * 1024;
constexpr std::int64_t kSeedMax = 1'000'000'000;
constexpr auto kKinds =
    std::to_array<std::pair<std::string_view, BadKind>>({{"fails", BadKind::fails}, {"silent", BadKind::silent}, {"metric", BadKind::metric}});

/// A share of devices as a number from 0 to 1.
double read_share(wire::ObjectReader& reader, std::string_view key, double fallback, double max = 1) {
  double const share = reader.number(key, fallback);
  if (share < 0 || share > max) reader.fault(key, fmt::format("expected a share of devices from 0 to {:g}, got {:g}", max, share));
  return share;
}

BadKind read_kind(wire::ObjectReader& reader) {
  auto const text = reader.text("bad_kind", 16, "fails");
  for (auto const& [name, kind] : kKinds)
    if (name == text) return kind;
  reader.fault("bad_kind", fmt::format("'{}' is none of fails, silent, metric", text));
  return BadKind::fails;
}

Result<Study> read_study(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  Study study;
  auto const* const policy = reader.find("policy");
  if (policy == nullptr && reader.valid()) reader.fault("policy", "is required: a policy, or cautious, standard, fast or small-fleet");
  study.devices = static_cast<int>(reader.integer("devices", simulation::kDevicesMin, simulation::kDevicesMax, study.devices));
  study.runs = static_cast<int>(reader.integer("runs", 1, simulation::kRunsMax, study.runs));
  study.seed = static_cast<std::uint64_t>(reader.integer("seed", 0, kSeedMax, static_cast<std::int64_t>(services.random.next() % kSeedMax)));
  auto& scenario = study.scenario;
  scenario.kind = read_kind(reader);
  scenario.bad = read_share(reader, "bad_share", 0);
  scenario.offline = read_share(reader, "offline", scenario.offline, .9);
  scenario.noise = read_share(reader, "noise", 0);
  scenario.shock = read_share(reader, "shock", 0);
  scenario.bytes = reader.integer("bytes", 1, INT64_C(1) << 40, scenario.bytes);
  if (std::int64_t{study.devices} * study.runs > simulation::kWorkMax)
    reader.fault("runs", fmt::format("{} devices times {} runs are more than {}", study.devices, study.runs, simulation::kWorkMax));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(study.policy, rollout::take_policy(services.fs, boost::json::serialize(*policy), "/policy"));
  auto const looks = std::int64_t{study.devices} * study.runs * study.policy.stage_count() * (1 + static_cast<std::int64_t>(study.policy.absolute.size()));
  if (looks > simulation::kLooksMax)
    return Error{Kind::unprocessable, "too_much_to_simulate",
                 fmt::format("{} devices times {} runs times {} stages times {} gates are more than one request may ask for", study.devices, study.runs,
                             study.policy.stage_count(), study.policy.absolute.size()),
                 "simulate fewer devices or runs"};
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
  static std::vector<Route> const routes{{net::Method::post, "/api/v1/rollouts:simulate", Permission::operate, kOpen, &simulate, kBodyMax, Listener::api, Pool::simulations}};
  return routes;
}

}  // namespace fleet::api
