#include "cli/client/follow.hpp"

#include "cli/render/failure.hpp"
#include "cli/render/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace fleet::cli {
namespace {

constexpr Millis kEvery{1'000};
constexpr Millis kPatience{600'000};
constexpr std::size_t kFailuresShown = 5;

struct End {
  std::string_view state;
  int exit;
  bool for_a_person;
};
constexpr auto kEnds = std::to_array<End>({
    {"completed", 0, false},
    {"rolled_back", 5, false},
    {"aborted", 5, false},
    {"paused", 9, true},
    {"awaiting_approval", 9, true},
});

bool passing(Error const& error) { return error.kind == Kind::unavailable || error.kind == Kind::timeout || error.kind == Kind::throttled; }

}  // namespace

std::optional<int> ended(std::string_view state, bool fail_on_pause) {
  for (auto const& end : kEnds)
    if (end.state == state && (fail_on_pause || !end.for_a_person)) return end.exit;
  return std::nullopt;
}

Result<int> follow_rollout(Session& session, std::string const& id, std::optional<Millis> limit,
                           std::function<std::optional<int>(boost::json::value const& rollout)> const& seen) {
  auto& clock = session.around().clock;
  auto const start = clock.mono();
  FLEET_TRY(auto* const api, session.api(std::min(Api::kTimeout, limit.value_or(Api::kTimeout))));
  Route const route("/rollouts/{}", {id});
  for (bool answered = false;; answered = true) {
    auto const left = limit ? std::max(Millis{0}, *limit - (clock.mono() - start)) : kPatience;
    api->set_patience(std::min(kPatience, left));
    auto const rollout = api->get(route);
    // A server that is away when the time is up: what the follower asked for did not come.
    if (!rollout && !(answered && left < kPatience && passing(rollout.error()))) return rollout.error();
    if (rollout)
      if (auto const exit = seen(*rollout)) return *exit;
    auto const gone = clock.mono() - start;
    if (!rollout || (limit && gone >= *limit)) {
      auto const state = rollout ? render::text_at(*rollout, "state") : std::string();
      bool const waits = state == "paused" || state == "awaiting_approval";
      return Error{Kind::timeout, "timeout", fmt::format("rollout {} did not get there within {}{}", id, to_string(*limit), state.empty() ? "" : ": it is " + state),
                   waits ? fmt::format("it waits for a person: fleetctl rollout explain {}", id) : "the rollout goes on; follow it again"};
    }
    session.around().console.pause(limit ? std::min(kEvery, *limit - gone) : kEvery);
  }
}

std::vector<std::string> failures_of(Session& session, boost::json::value const& rollout) {
  std::vector<std::string> out;
  auto const failed = render::number_at(rollout, "counts.failed");
  auto const api = failed > 0 ? session.api() : Result<Api*>(nullptr);
  if (!api || *api == nullptr) return out;
  auto const id = render::text_at(rollout, "id");
  auto const take = [&](boost::json::value const& device) {
    for (auto& line : render::failure_lines(device)) out.push_back(std::move(line));
  };
  auto const listed = (*api)->list(Route("/rollouts/{}/devices", {id}).with("state", "failed"), kFailuresShown, take);
  if (listed && failed > static_cast<double>(kFailuresShown)) out.push_back("all of them: fleetctl rollout devices " + id + " --state failed");
  return out;
}

}  // namespace fleet::cli
