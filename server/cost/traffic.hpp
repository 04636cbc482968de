#pragma once

#include "server/content/recipes.hpp"
#include "server/rollout/engine/plan.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Bytes that reach devices: an estimate by the routes that are prepared now. Reads rows of devices and documents: not on an io thread.
namespace fleet::cost {

using rollout::Arrival;

/// Devices that are alike, and what one of them fetches.
struct TrafficLine {
  Arrival what;
  std::int64_t devices = 0;
  routes::Travel each;
};
struct Traffic {
  std::uint64_t bytes = 0;     ///< of all devices together
  std::uint64_t as_it_is = 0;  ///< the same without any route
  std::uint64_t largest = 0;   ///< of the device that takes most
  std::vector<TrafficLine> lines;
};

/// How releases travel, looked up once each.
class Travels {
public:
  explicit Travels(db::Connection& reader) : reader_(reader) {}
  /// What is not in the catalog is left out.
  [[nodiscard]] Result<Traffic> of(std::map<Arrival, std::int64_t> const& arrivals);
  /// Null: there is none.
  [[nodiscard]] Result<wire::Release const*> load(std::string const& model, std::string const& version);

private:
  db::Connection& reader_;
  std::map<std::pair<std::string, std::string>, std::optional<wire::Release>> releases_;
  std::map<Arrival, routes::Travel> travels_;
};

/// What a rollout has sent, or is about to, to the devices that it told: each once, however often it tried.
struct RolloutTraffic {
  std::string id, model, version, state;
  std::optional<std::int64_t> started_at;
  std::int64_t told = 0;
  std::int64_t counted = 0;  ///< of them, whose hardware and version before were looked at: the rest is taken to be alike
  Traffic traffic;           ///< of all that were told; its lines of those that were counted
  /// Not where all that were told have been deleted since.
  [[nodiscard]] bool is_known() const { return counted > 0 || told == 0; }
};
/// How many devices of a rollout are looked at, one by one: of one that is asked for, of one among others.
inline constexpr std::int64_t kCountedOfOne = 1'000'000;
inline constexpr std::int64_t kCountedOfEach = 10'000;
inline constexpr int kRolloutsMax = 100;

/// @errors not_found (`unknown_rollout`)
[[nodiscard]] Result<RolloutTraffic> rollout_traffic(db::Connection& reader, std::string_view id);
/// Those that live or started since, the newest first, at most kRolloutsMax. @param model  empty: of all
[[nodiscard]] Result<std::vector<RolloutTraffic>> rollouts_traffic(db::Connection& reader, std::string_view model, SysTime since);

}  // namespace fleet::cost
