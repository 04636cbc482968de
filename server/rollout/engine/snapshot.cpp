#include "server/rollout/engine/snapshot.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace fleet::rollout {

std::optional<MetricRange> RolloutView::range_of(std::string_view metric) const {
  auto const found = ranges.find(metric);
  return found == ranges.end() ? std::nullopt : std::optional(found->second);
}

bool RolloutView::was_held_back(std::string_view stratum, std::int64_t device_place) const {
  if (rollout.policy.holdback == 0) return false;
  if (!ladder->sizes.contains(stratum)) return !is_member(device_place, threshold_of_share(1 - rollout.policy.holdback));
  auto const from = ladder->held_from.find(stratum);
  return from != ladder->held_from.end() && device_place >= from->second;
}

Arm RolloutView::arm_of(std::string_view stratum, std::int64_t device_place) const {
  return !rollout.against || is_member(device_place, ladder->threshold(ladder->stage_size.front(), stratum)) ? Arm::canary : Arm::against;
}

Seat RolloutView::seat_in_test(std::string_view stratum, std::int64_t device_place) const {
  bool const of_release = arm_of(stratum, device_place) == Arm::canary;
  auto const& progress = rollout.progress;
  if (!is_member(device_place, ladder->threshold(of_release ? progress.canaries : progress.controls, stratum))) return Seat::later;
  return of_release ? Seat::canary : Seat::against;
}

Seat RolloutView::seat(std::string_view stratum, std::int64_t device_place) const {
  if (rollout.policy.ab) return seat_in_test(stratum, device_place);
  bool const held = was_held_back(stratum, device_place);
  if (rollout.state == State::completed) {
    bool const reached = held || is_member(device_place, ladder->threshold(ladder->stage_size.empty() ? 0 : ladder->stage_size.back(), stratum));
    return reached ? Seat::canary : Seat::later;
  }
  auto const& progress = rollout.progress;
  bool const last = rollout.stage >= rollout.policy.stage_count();
  // Also beside the last window, which leaves no other control.
  if (held) return last && !progress.full && rollout.policy.compares() ? Seat::control : Seat::held;
  if (is_member(device_place, ladder->threshold(progress.canaries, stratum))) return Seat::canary;
  return is_member(device_place, ladder->threshold(progress.controls, stratum)) ? Seat::control : Seat::later;
}

int RolloutView::stage_of(std::string_view stratum, std::int64_t device_place) const {
  if (rollout.policy.ab) return 1;
  if (was_held_back(stratum, device_place)) return 0;
  for (std::size_t stage = 0; stage < ladder->stage_size.size(); ++stage)
    if (is_member(device_place, ladder->threshold(ladder->stage_size[stage], stratum))) return static_cast<int>(stage) + 1;
  return 0;
}

Result<RolloutView> make_view(Rollout rollout, std::shared_ptr<Ladder const> ladder) {
  RolloutView view;
  FLEET_TRY(view.selector, registry::Selector::parse(rollout.selector));
  auto const stages = rollout.policy.stages.size();
  if (ladder->stage_size.size() != stages || ladder->stage_cap.size() != stages || ladder->counts.empty())
    return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + ": its ladder is not of its policy"};
  if (rollout.policy.ab.has_value() != rollout.against.has_value())
    return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + ": its policy and its row do not agree on what it is tested against"};
  view.ladder = std::move(ladder);
  view.rollout = std::move(rollout);
  view.window_now->store(view.rollout.progress.current(), std::memory_order_relaxed);
  return view;
}

void put_view(Snapshot& snapshot, ViewPtr view) {
  auto const state = view->rollout.state;
  auto& of_model = snapshot.models[view->rollout.model];
  (is_live(state) && state != State::rolling_back ? of_model.live : of_model.ended).push_back(view);
  if (auto const& limit = view->rollout.policy.per_place) snapshot.site_labels.insert(limit->label);
  if (is_live(state))
    for (auto const& member : view->members) snapshot.sets_with[member.model].push_back(view);
  snapshot.by_n[view->rollout.n] = view;
  snapshot.by_id[view->rollout.id] = std::move(view);
}

void sort_views(Snapshot& snapshot) {
  for (auto& [model, views] : snapshot.models) {
    std::sort(views.live.begin(), views.live.end(), [](ViewPtr const& a, ViewPtr const& b) {
      auto const first = [](Rollout const& one) { return std::tuple(-one.policy.priority, one.moment); };
      return first(a->rollout) < first(b->rollout);
    });
    std::sort(views.ended.begin(), views.ended.end(), [](ViewPtr const& a, ViewPtr const& b) { return a->rollout.moment > b->rollout.moment; });
    std::copy_if(views.ended.begin(), views.ended.end(), std::back_inserter(views.taken_back),
                 [](ViewPtr const& view) { return view->rollout.state == State::rolling_back || view->rollout.state == State::rolled_back; });
    for (auto const* const list : {&views.live, &views.ended})
      std::copy_if(list->begin(), list->end(), std::back_inserter(views.revoked), [](ViewPtr const& view) { return view->revoked(Arm::canary) || view->revoked(Arm::against); });
  }
}

}  // namespace fleet::rollout
