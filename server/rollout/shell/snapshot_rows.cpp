#include "server/rollout/shell/snapshot_rows.hpp"

#include "core/wire/release.hpp"
#include "server/registry/groups.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/record.hpp"
#include "server/rollout/shell/set_rows.hpp"
#include "server/store/moment.hpp"

#include <algorithm>
#include <chrono>

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
  // A device has all variants of its hardware, and tests each.
  struct OfHardware {
    std::uint64_t bytes = 0;
    int variants = 0;
  };
  std::map<std::string, OfHardware> sums;
  OfHardware most{0, 1};
  for (auto const& variant : release.variants)
    for (auto const& hardware : variant.hardware) {
      auto& sum = sums[hardware];
      most.bytes = std::max(most.bytes, sum.bytes += bytes_of(variant));
      most.variants = std::max(most.variants, ++sum.variants);
    }
  Millis limit = kLeastLimit + seconds(static_cast<std::int64_t>(most.bytes / kSlowestBytesPerSecond));
  auto const& manifest = release.manifest;
  if (manifest.golden) limit += most.variants * manifest.golden->timeout;
  if (manifest.shadow) limit += 2 * manifest.shadow->timeout;
  if (manifest.probation)
    limit += manifest.probation->max > Millis{0} ? manifest.probation->max : std::max<Millis>(4 * manifest.probation->time, std::chrono::minutes(1));
  return limit;
}

/// A verb takes effect at once: what the next step will write of it is decided by from now on. Only its times are the step's.
void show_what_was_said(RolloutView& view) {
  auto& rollout = view.rollout;
  if (rollout.state != State::running || rollout.waits_to_begin()) return;
  auto const& progress = rollout.progress;
  auto const stage = std::max(rollout.stage, 1);
  if (progress.window > 0 && progress.stage == stage && (!rollout.full || progress.full)) return;
  rollout.progress = enter(view.setting(), std::move(rollout.progress), stage, rollout.full, Millis{0});
  view.window_now->store(rollout.progress.current(), std::memory_order_relaxed);
}

Result<wire::Release> load_document(db::Connection& reader, Rollout const& rollout, std::int64_t release_n) {
  auto row = reader.prepare(queries::kReleaseHardware);
  row.bind_all(release_n);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::corrupt, "bad_row", "rollout " + rollout.id + " names a release that is not there"};
  FLEET_TRY(auto whole, load_whole(reader, release_n, row.text_view(0)));
  return std::move(whole.release);
}

void put_variants(wire::Release const& release, std::map<std::string, std::int64_t, std::less<>>& out) {
  for (auto const& variant : release.variants)
    for (auto const& hardware : variant.hardware) out[hardware] += static_cast<std::int64_t>(bytes_of(variant));  // a device has all of its hardware's
}

Result<ViewPtr> load_view(db::Connection& reader, Rollout rollout) {
  FLEET_TRY(auto ladder, load_ladder(reader, rollout));
  FLEET_TRY(auto const release, load_document(reader, rollout, rollout.release_n));
  FLEET_TRY(auto view, make_view(std::move(rollout), std::make_shared<Ladder const>(std::move(ladder))));
  FLEET_TRY(view.selector, registry::read_kept_selector(reader, view.rollout.selector));
  put_variants(release, view.variants);
  view.attempt_limit = limit_of(release);
  if (view.rollout.against) {
    FLEET_TRY(auto const other, load_document(reader, view.rollout, view.rollout.against->release_n));
    put_variants(other, view.variants_against);
    std::erase_if(view.variants, [&](auto const& one) { return !view.variants_against.contains(one.first); });
    view.attempt_limit = std::max(view.attempt_limit, limit_of(other));
  }
  for (auto const& [name, metric] : release.manifest.schema)
    if (metric.range) view.ranges[name] = {metric.range->lo, metric.range->hi};
  FLEET_TRY(view.members, load_members(reader, view.rollout.release_n));
  show_what_was_said(view);
  return std::make_shared<RolloutView const>(std::move(view));
}

/// A view stands while its row does; what was revoked since is of the epoch.
Result<void> note_revoked(db::Connection& reader, Snapshot& snapshot) {
  for (auto const& [n, view] : snapshot.by_n)
    for (auto const& member : view->members) {
      if (snapshot.revoked.contains(member.model)) continue;
      FLEET_TRY(snapshot.revoked[member.model], revoked_of(reader, member.model));
    }
  return {};
}

/// A rollout that has a say, and what its view would be made of.
struct Started {
  std::int64_t n, revision;
  std::string release_state, against_state;
};
/// The view of before where it would come out the same.
Result<ViewPtr> refresh_view(db::Connection& reader, Started const& started, Snapshot const* before) {
  ViewPtr old;
  if (before != nullptr)
    if (auto const found = before->by_n.find(started.n); found != before->by_n.end()) old = found->second;
  bool const regrouped = old != nullptr && old->selector.asks_groups();  // what its groups mean may have changed
  auto const states = [](Rollout const& r) { return std::pair(r.release_state, r.against ? r.against->state : std::string()); };
  if (old != nullptr && !regrouped && old->rollout.revision == started.revision && states(old->rollout) == std::pair(started.release_state, started.against_state)) return old;
  FLEET_TRY(auto rollout, load_rollout(reader, started.n));
  if (old == nullptr || old->rollout.waits_to_begin() || old->ladder->is_of_nobody()) return load_view(reader, std::move(rollout));
  auto view = *old;  // thresholds, hardware and limits never change once it has begun; the row did
  view.rollout = std::move(rollout);
  if (regrouped) {
    FLEET_TRY(view.selector, registry::read_kept_selector(reader, view.rollout.selector));
  }
  show_what_was_said(view);
  return ViewPtr(std::make_shared<RolloutView const>(std::move(view)));
}

}  // namespace

Result<std::shared_ptr<Snapshot const>> load_snapshot(db::Connection& reader, std::uint64_t epoch, Snapshot const* before) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->epoch = epoch;
  FLEET_CHECK(store::at_one_moment(reader, [&]() -> Result<void> {
    auto rows = reader.prepare(queries::kStartedRollouts);
    while (true) {
      FLEET_TRY(bool const more, rows.step());
      if (!more) break;
      FLEET_TRY(auto view, refresh_view(reader, {rows.int64(0), rows.int64(1), rows.text(2), rows.text(3)}, before));
      put_view(*snapshot, std::move(view));
    }
    sort_views(*snapshot);
    return note_revoked(reader, *snapshot);
  }));
  return std::shared_ptr<Snapshot const>(std::move(snapshot));
}

}  // namespace fleet::rollout
