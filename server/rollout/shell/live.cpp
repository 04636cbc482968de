#include "server/rollout/shell/live.hpp"

#include "server/rollout/shell/queries.hpp"

#include <array>
#include <map>

namespace fleet::rollout {
namespace {

struct Outcome {
  std::string_view name;
  std::int64_t LiveRollout::*devices;
};
constexpr auto kOutcomes = std::to_array<Outcome>({{device_state::kHealthy, &LiveRollout::healthy},
                                                   {device_state::kFailed, &LiveRollout::failed},
                                                   {device_state::kSilent, &LiveRollout::silent}});

std::optional<SysTime> maybe_time(std::optional<std::int64_t> ms) { return ms ? std::optional(from_unix_ms(*ms)) : std::nullopt; }

void count(LiveRollout& rollout, std::string_view state, std::string_view outcome, std::int64_t devices) {
  for (auto const& one : kOutcomes)
    if (one.name == outcome) rollout.*one.devices += devices;
  if (outcome.empty() && device_state::is_undecided(state)) rollout.undecided += devices;
}

}  // namespace

Result<std::vector<LiveRollout>> list_live(db::Connection& reader) {
  std::vector<LiveRollout> out;
  std::map<std::int64_t, std::size_t> places;
  auto rows = reader.prepare(queries::kLive);
  rows.bind_all(kLiveTold);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    places.emplace(rows.int64(0), out.size());
    out.push_back({.id = rows.text(1),
                   .model = rows.text(2),
                   .version = rows.text(3),
                   .state = rows.text(4),
                   .stage = rows.int64(5),
                   .stage_since = maybe_time(rows.maybe_int64(6)),
                   .deadline = maybe_time(rows.maybe_int64(7)),
                   .gates = nearness_of(rows.text_view(8))});
  }
  auto counts = reader.prepare(queries::kLiveCounts);
  counts.bind_all(kLiveTold);
  while (true) {
    FLEET_TRY(bool const more, counts.step());
    if (!more) return out;
    auto const place = places.find(counts.int64(0));  // one that began in between has no place yet
    if (place != places.end()) count(out[place->second], counts.text_view(1), counts.text_view(2), counts.int64(3));
  }
}

}  // namespace fleet::rollout
