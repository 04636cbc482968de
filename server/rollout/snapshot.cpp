#include "server/rollout/snapshot.hpp"

#include "core/wire/release.hpp"
#include "server/rollout/queries.hpp"

#include <algorithm>
#include <chrono>
#include <tuple>

namespace fleet::rollout {
namespace {

/// A download slower than this is not waited for.
constexpr std::uint64_t kSlowestBytesPerSecond = 16 * 1024;
constexpr Millis kLeastLimit = std::chrono::minutes(10);

std::uint64_t bytes_of(wire::Variant const& variant) {
  std::uint64_t bytes = 0;
  for (auto const& file : variant.files) bytes += file.size;
  return bytes;
}

/// Download estimate + golden timeout + probation's maximum (docs/protocol.md, Silence).
Millis limit_of(wire::Release const& release) {
  std::uint64_t largest = 0;
  for (auto const& variant : release.variants) largest = std::max(largest, bytes_of(variant));
  Millis limit = kLeastLimit + seconds(static_cast<std::int64_t>(largest / kSlowestBytesPerSecond));
  auto const& manifest = release.manifest;
  if (manifest.golden) limit += manifest.golden->timeout;
  if (manifest.probation)
    limit += manifest.probation->max > Millis{0} ? manifest.probation->max : std::max<Millis>(4 * manifest.probation->time, std::chrono::minutes(1));
  return limit;
}

Result<ViewPtr> load_view(db::Connection& reader, Rollout rollout) {
  FLEET_TRY(auto const strata, load_strata(reader, rollout.n));
  auto row = reader.prepare(queries::kReleaseHardware);
  row.bind_all(rollout.release_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + " names a release that is not there"};
  FLEET_TRY(auto const release, wire::decode_release(row.text_view(0)));
  FLEET_TRY(auto view, make_view(std::move(rollout), strata));
  for (auto const& variant : release.variants)
    for (auto const& hardware : variant.hardware) view.variants[hardware] = static_cast<std::int64_t>(bytes_of(variant));
  view.attempt_limit = limit_of(release);
  return std::make_shared<RolloutView const>(std::move(view));
}

/// Equal means: the view would come out the same.
auto content_of(Rollout const& r) { return std::tie(r.revision, r.release_state); }

}  // namespace

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

Result<std::shared_ptr<Snapshot const>> load_snapshot(db::Connection& reader, std::uint64_t epoch, Snapshot const* before) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->epoch = epoch;
  std::vector<Rollout> rollouts;
  {
    auto rows = reader.prepare(queries::kStartedRollouts);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      FLEET_TRY(auto rollout, read_rollout(rows));
      rollouts.push_back(std::move(rollout));
    }
  }
  for (auto& rollout : rollouts) {
    auto const old = [&]() -> ViewPtr {
      if (before == nullptr) return nullptr;
      auto const found = before->by_n.find(rollout.n);
      return found == before->by_n.end() ? nullptr : found->second;
    }();
    if (old != nullptr && content_of(old->rollout) == content_of(rollout)) {
      put_view(*snapshot, old);
      continue;
    }
    if (old != nullptr) {  // thresholds, hardware and limits never change; the row did
      auto view = *old;
      view.rollout = std::move(rollout);
      put_view(*snapshot, std::make_shared<RolloutView const>(std::move(view)));
      continue;
    }
    FLEET_TRY(auto view, load_view(reader, std::move(rollout)));
    put_view(*snapshot, std::move(view));
  }
  sort_views(*snapshot);
  return std::shared_ptr<Snapshot const>(std::move(snapshot));
}

}  // namespace fleet::rollout
