#pragma once

#include "server/registry/selector.hpp"
#include "server/rollout/engine/desired.hpp"
#include "server/rollout/engine/membership.hpp"
#include "server/rollout/engine/rollout.hpp"
#include "server/rollout/engine/samples.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace fleet::rollout {

/// Where a device sits in a rollout.
enum class Seat {
  canary,   ///< it gets the release now
  control,  ///< it stays with what it runs, and proves that beside the canaries
  later,    ///< neither yet
  held,     ///< kept back until the rollout completes
  against,  ///< of a test: it gets the other release now
};

/// A started rollout, ready to decide with: shared by every thread, never changed.
struct RolloutView {
  Rollout rollout;
  registry::Selector selector;
  std::shared_ptr<Ladder const> ladder;                                      ///< never changes: all views of a rollout share it
  std::map<std::string, std::int64_t, std::less<>> variants;                 ///< hardware -> bytes to fetch; of a test: where both releases have one
  std::map<std::string, std::int64_t, std::less<>> variants_against;         ///< the same of the other release
  std::map<std::string, MetricRange, std::less<>> ranges;                    ///< metric -> what its values lie between, as the release declares it
  std::vector<SetMember> members = {};                                       ///< of a set's release
  Millis attempt_limit{0};                                                   ///< no result after that long is silence
  std::shared_ptr<std::atomic<std::int64_t>> at_work = std::make_shared<std::atomic<std::int64_t>>(0);  ///< outlives the view: next one takes it over
  /// From when `limits.egress` lets one more device begin (line_after); outlives the view, too.
  std::shared_ptr<std::atomic<std::int64_t>> line_free_at = std::make_shared<std::atomic<std::int64_t>>(0);
  /// Service time (ms) at which `limits.per` made a device wait last; outlives the view, too.
  std::shared_ptr<std::atomic<std::int64_t>> place_refused_at = std::make_shared<std::atomic<std::int64_t>>(-1);

  /// Canaries that were told; outlives the view, too.
  std::shared_ptr<std::atomic<std::int64_t>> told = std::make_shared<std::atomic<std::int64_t>>(0);
  /// Once as many were told as it was planned for, so many may be at work (beyond_plan); the largest number until the judge has looked. Outlives the view, too.
  std::shared_ptr<std::atomic<std::int64_t>> beyond_max = std::make_shared<std::atomic<std::int64_t>>(INT64_MAX);

  /// The window that a device which starts now belongs to; outlives the view, too. The writer's thread alone writes it.
  std::shared_ptr<std::atomic<int>> window_now = std::make_shared<std::atomic<int>>(1);

  [[nodiscard]] Setting setting() const { return {rollout.policy, *ladder, rollout.model + "@" + rollout.version}; }
  [[nodiscard]] bool revoked() const { return revoked(Arm::canary); }
  [[nodiscard]] bool revoked(Arm arm) const { return rollout.release_state_of(arm) == "revoked"; }
  [[nodiscard]] std::optional<MetricRange> range_of(std::string_view metric) const;
  [[nodiscard]] bool has_variant(std::string_view hardware) const { return variants.contains(hardware); }
  /// Is the device of the holdback, whether it waits still or has followed?
  [[nodiscard]] bool was_held_back(std::string_view stratum, std::int64_t place) const;
  /// As the windows stand. Of a completed rollout all that its last stage reaches are canaries, those held back, too.
  [[nodiscard]] Seat seat(std::string_view stratum, std::int64_t place) const;
  /// The arm that a device installs for: of a test the other release's, beyond its split.
  [[nodiscard]] Arm arm_of(std::string_view stratum, std::int64_t place) const;
  [[nodiscard]] Seat seat_in_test(std::string_view stratum, std::int64_t place) const;
  /// The first stage whose size reaches the device; 0: none does.
  [[nodiscard]] int stage_of(std::string_view stratum, std::int64_t place) const;
};
using ViewPtr = std::shared_ptr<RolloutView const>;

/// The rollouts of one model, in the orders decisions look at them.
struct ModelRollouts {
  std::vector<ViewPtr> live;   ///< running, paused or awaiting approval; the highest priority first, then the earliest started
  std::vector<ViewPtr> ended;  ///< completed, aborted, rolling back, rolled back; the newest end first
  // Of these, in the same order: what every decision asks for, so that none walks a long history.
  std::vector<ViewPtr> taken_back;  ///< rolling back or rolled back
  std::vector<ViewPtr> revoked;     ///< of a release that was; live ones first
};

/// The started rollouts at one policy epoch, without those whose word nobody can need any more.
struct Snapshot {
  std::uint64_t epoch = 0;
  std::map<std::string, ModelRollouts> models;
  std::map<std::int64_t, ViewPtr> by_n;
  std::map<std::string, ViewPtr, std::less<>> by_id;
  std::set<std::string> site_labels;  ///< that any of them limits by
  std::map<std::string, std::vector<ViewPtr>> sets_with;       ///< by a member's model: live rollouts of sets that have one
  std::map<std::string, std::vector<std::string>> revoked;     ///< by a member's model: digests that were revoked
};

/// The pure parts, for simulations: a view from a rollout and its ladder, and the orders of a model.
[[nodiscard]] Result<RolloutView> make_view(Rollout rollout, std::shared_ptr<Ladder const> ladder);
void put_view(Snapshot& snapshot, ViewPtr view);
/// To be called once after the last `put_view`: orders, and picks `taken_back` and `revoked`.
void sort_views(Snapshot& snapshot);

}  // namespace fleet::rollout
