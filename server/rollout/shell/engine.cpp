#include "server/rollout/shell/engine.hpp"

#include "core/base/log.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/shell/decided.hpp"
#include "server/rollout/shell/device_rows.hpp"
#include "server/rollout/shell/gathered.hpp"
#include "server/rollout/shell/judge_loop.hpp"
#include "server/rollout/shell/places.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/sample_rows.hpp"
#include "server/rollout/shell/verbs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <set>
#include <utility>

namespace fleet::rollout {
namespace {

constexpr Millis kStands = std::chrono::hours(1);
constexpr Millis kLimitedStands = seconds(5);

class StoreEngine final : public Engine {
public:
  StoreEngine(Services& services, Millis served) : services_(services), clock_(services.clock, served), judge_(services, clock_, sites_, [this] { return snapshot(); }) {
    services_.store.turns().on_change([this](store::Change const& change, db::Connection* writing) { hear(change, writing); });
  }

  Millis heard(std::int64_t device_n, Habits const& habits) override {
    clock_.heard(device_n, habits);
    return clock_.now();
  }
  Millis heard(std::int64_t device_n) override {
    clock_.heard(device_n);
    return clock_.now();
  }
  ServiceClock& clock() override { return clock_; }

  Result<Decision> decide(db::Connection& reader, registry::DeviceFacts const& device, SysTime now) override {
    FLEET_TRY(auto const current, snapshot());
    FLEET_TRY(auto const rows, read_device_rows(reader, *current, device.n));
    FLEET_TRY(auto decided, decide_all(reader, *current, device, rows, {now, clock_.now()}));
    Decision out;
    out.valid_until = now + kStands;
    for (auto& one : decided) {
      if (one.retry_soon) out.valid_until = std::min(out.valid_until, now + kLimitedStands);
      if (one.waits_at) wait_for_place(*current, device.n, one, now, out);
      if (one.valid_until) out.valid_until = std::min(out.valid_until, *one.valid_until);
      one.desired.holder = one.holder;
      out.models.push_back(std::move(one.desired));
    }
    FLEET_TRY(out.gave_up, holds_in_vain(reader, *current, device.n, out));
    return out;
  }

  Result<void> dispatched(store::Tx& tx, registry::DeviceFacts const& device, Decision const& decision, SysTime now) override {
    FLEET_TRY(auto const current, snapshot());
    // Labels are moved by a person, who is told of it there; who left a group leaves at its next poll.
    auto const elsewhere = [](Desired const& one) { return std::any_of(one.because.begin(), one.because.end(), [](Because const& b) { return b.code == "not_selected"; }); };
    if (std::any_of(decision.models.begin(), decision.models.end(), elsewhere)) FLEET_CHECK(left(tx, device.n, Leaving::relabelled, now));
    FLEET_CHECK(note_dispatched(tx, *current, device, decision, {now, clock_}));
    std::vector<std::int64_t> changed;
    for (auto const& desired : decision.models)
      if (desired.rollout_n != 0) changed.push_back(desired.rollout_n);
    tell_judge(tx, std::move(changed));
    return {};
  }

  Result<void> withdrawn(store::Tx& tx, std::int64_t device_n, ModelStatuses const& told, Decision const& decision) override {
    Freed freed;
    FLEET_CHECK(free_withdrawn(tx, device_n, told, decision, freed));
    wake(tx, sites_, freed);
    return {};
  }

  Result<void> left(store::Tx& tx, std::int64_t device_n, Leaving how, SysTime now) override {
    Freed freed;
    FLEET_CHECK(note_left(tx, device_n, how, now, freed));
    wake(tx, sites_, freed);
    return {};
  }

  Result<void> on_poll(store::Tx& tx, std::int64_t device_n, ModelStatuses const& before, ModelStatuses const& told, SysTime now) override {
    FLEET_TRY(auto const current, snapshot());
    std::vector<std::int64_t> changed;
    FLEET_CHECK(note_poll(tx, *current, {device_n, before, told}, {now, clock_}, changed));
    Freed freed;
    for (auto const& [model, status] : told) FLEET_CHECK(free_by_word(tx, device_n, {model, status.state, status.rollout, status.attempt}, freed));
    wake(tx, sites_, freed);
    tell_judge(tx, std::move(changed));
    return {};
  }

  Result<void> on_update(store::Tx& tx, registry::DeviceFacts const& device, wire::UpdateItem const& item, SysTime now) override {
    FLEET_TRY(auto const current, snapshot());
    if (item.error.code == wire::kUnheld) {
      FLEET_TRY(auto const models, unhold(tx, device.id, item.model, {now, "device:" + device.id, "the hold was lifted on the device"}));
      if (models > 0) log::info("device.unheld", {{"device", device.id}, {"model", item.model}});
      return {};
    }
    std::vector<std::int64_t> changed;
    FLEET_CHECK(note_update(tx, *current, device, item, {now, clock_}, changed));
    Freed freed;
    FLEET_CHECK(free_by_word(tx, device.n, {item.model, item.state, item.rollout, item.attempt}, freed));
    wake(tx, sites_, freed);
    tell_judge(tx, std::move(changed));
    return {};
  }

  Result<void> on_metrics(store::Tx& tx, registry::DeviceFacts const& device, wire::MetricsItem const& item, SysTime now) override {
    FLEET_TRY(auto const current, snapshot());
    std::vector<std::int64_t> changed;
    FLEET_CHECK(note_metrics(tx, *current, device, item, now, changed));
    tell_judge(tx, std::move(changed));
    return {};
  }

  /// What others wrote before this server listened.
  Result<void> begin() {
    if (!services_.store.turns().is_shared()) return {};
    return services_.store.write_wait(store::Lane::upkeep, [this](store::Tx& tx) -> Result<void> {
      all_miscounted_ = true;
      count_again(tx.connection());
      return {};
    });
  }

  void start() override { judge_.start(); }
  void stop() override { judge_.stop(); }
  Result<int> look() override { return judge_.round(); }

private:
  void wait_for_place(Snapshot const& current, std::int64_t device_n, ModelDecision const& decided, SysTime now, Decision& out) {
    sites_.wait(*decided.waits_at, device_n);
    out.valid_until = std::min(out.valid_until, now + kPlaceStands);
    if (auto const view = current.by_id.find(decided.holder); view != current.by_id.end())
      view->second->place_refused_at->store(clock_.now().count(), std::memory_order_relaxed);
  }

  void tell_judge(store::Tx& tx, std::vector<std::int64_t> changed) {
    if (changed.empty()) return;
    for (auto const n : changed) tx.tell_others(std::string(kRowsOf), std::to_string(n));
    tx.after_commit([this, rollouts = std::move(changed)] {
      for (auto const n : rollouts) judge_.changed(n);
    });
  }

  /// What another server changed. Counters that its jobs moved are read again before a job of this one asks them.
  void hear(store::Change const& change, db::Connection* writing) {
    if (change.what == kFreedAt)
      for (auto const device_n : sites_.next(parse_site(change.which))) services_.store.epochs().raise_device(device_n);
    std::int64_t rollout_n = 0;
    if (change.what == kRowsOf) std::from_chars(change.which.data(), change.which.data() + change.which.size(), rollout_n);
    if (rollout_n != 0) judge_.changed(rollout_n);
    if (writing == nullptr) return;
    if (rollout_n != 0) miscounted_.insert(rollout_n);
    all_miscounted_ = all_miscounted_ || change.what == "all" || change.what == "policy";
    if (change.what == "heard") count_again(*writing);
  }

  /// On the writer's thread, in its turn: nobody moves rows meanwhile.
  void count_again(db::Connection& writing) {
    auto const rollouts = std::exchange(miscounted_, {});
    bool const all = std::exchange(all_miscounted_, false);
    if (!all && rollouts.empty()) return;
    auto const counted = [&]() -> Result<void> {
      FLEET_TRY(auto const current, snapshot());
      for (auto const& [n, view] : current->by_n)
        if (all || rollouts.contains(n)) FLEET_CHECK(count_rows(writing, *view));
      return {};
    }();
    if (!counted) log::warn("rollouts.not_counted", {{"code", counted.error().code}, {"detail", counted.error().detail}});
  }

  /// The snapshot of the newest policy epoch. The epoch is read before the rows, so that a snapshot is never older than it says.
  Result<std::shared_ptr<Snapshot const>> snapshot() {
    auto const epoch = services_.store.epochs().policy();
    auto current = std::atomic_load(&snapshot_);
    if (current != nullptr && current->epoch >= epoch) return current;
    std::lock_guard const lock(loading_);
    current = std::atomic_load(&snapshot_);
    if (current != nullptr && current->epoch >= epoch) return current;
    FLEET_TRY(auto fresh, load_snapshot(services_.store.reader(), services_.store.epochs().policy(), current.get()));
    std::atomic_store(&snapshot_, fresh);
    return fresh;
  }

  static constexpr std::string_view kRowsOf = "rollout";

  Services& services_;
  ServiceClock clock_;
  SiteQueue sites_;
  std::set<std::int64_t> miscounted_;  ///< by what others did; the writer's thread alone, as is the next
  bool all_miscounted_ = false;
  std::shared_ptr<Snapshot const> snapshot_;
  std::mutex loading_;
  JudgeLoop judge_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(Services& services) {
  FLEET_TRY(auto const served, load_service_time(services.store.reader()));
  auto engine = std::make_unique<StoreEngine>(services, served);
  FLEET_CHECK(engine->begin());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace fleet::rollout
