#include "server/rollout/engine/snapshot.hpp"

#include <algorithm>
#include <tuple>

namespace fleet::rollout {

bool RolloutView::was_held_back(std::string_view stratum, std::int64_t device_place) const {
  if (rollout.policy.holdback == 0) return false;
  if (!thresholds.contains(stratum)) return !is_member(device_place, threshold_of_share(1 - rollout.policy.holdback));
  auto const from = held_back.find(stratum);
  return from != held_back.end() && device_place >= from->second;
}

bool RolloutView::in_stage(int stage, std::string_view stratum, std::int64_t device_place) const {
  if (stage < 1 || holds_back(stratum, device_place)) return false;
  auto const index = static_cast<std::size_t>(stage - 1);
  auto const known = thresholds.find(stratum);
  return is_member(device_place, known == thresholds.end() ? share_thresholds.at(index) : known->second.at(index));
}

Result<RolloutView> make_view(Rollout rollout, std::vector<StageStratum> const& strata) {
  RolloutView view;
  FLEET_TRY(view.selector, registry::Selector::parse(rollout.selector));
  auto const stages = rollout.policy.stages.size();
  std::vector<std::int64_t> totals(stages + 1, 0);
  for (auto const& one : strata) {
    if (one.stage == kHeldBack) {
      view.held_back[one.stratum] = one.threshold;
      totals[kWhole] -= one.devices;
      continue;
    }
    auto const index = static_cast<std::size_t>(one.stage);
    if (one.stage < 0 || index > stages) return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + ": a stratum names a stage that is not there"};
    totals[index] += one.devices;
    auto& thresholds = view.thresholds.try_emplace(one.stratum, stages, 0).first->second;
    if (one.stage > 0) thresholds[index - 1] = one.threshold;
  }
  for (std::size_t i = 0; i < stages; ++i) {
    auto const& percent = rollout.policy.stages[i].percent;
    double const share = (1 - rollout.policy.holdback) * (percent          ? *percent / 100
                                                          : totals[0] == 0 ? 0
                                                                           : static_cast<double>(totals[i + 1]) / static_cast<double>(totals[0]));
    view.share_thresholds.push_back(threshold_of_share(share));
  }
  view.rollout = std::move(rollout);
  return view;
}

void put_view(Snapshot& snapshot, ViewPtr view) {
  auto const state = view->rollout.state;
  auto& of_model = snapshot.models[view->rollout.model];
  (is_live(state) && state != State::rolling_back ? of_model.live : of_model.ended).push_back(view);
  snapshot.by_n[view->rollout.n] = view;
  snapshot.by_id[view->rollout.id] = std::move(view);
}

void sort_views(Snapshot& snapshot) {
  for (auto& [model, views] : snapshot.models) {
    std::sort(views.live.begin(), views.live.end(), [](ViewPtr const& a, ViewPtr const& b) { return a->rollout.moment < b->rollout.moment; });
    std::sort(views.ended.begin(), views.ended.end(), [](ViewPtr const& a, ViewPtr const& b) { return a->rollout.moment > b->rollout.moment; });
  }
}

}  // namespace fleet::rollout
