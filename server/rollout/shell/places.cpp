#include "server/rollout/shell/places.hpp"

#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/quiet_rows.hpp"

#include <algorithm>
#include <array>

namespace fleet::rollout {
namespace {

namespace ds = device_state;

/// Of those that wait at a site so many are woken: one of them comes first.
constexpr std::size_t kWoken = 16;
constexpr std::size_t kWaitingMax = 200'000;
constexpr std::int64_t kPlacesALook = 500;

/// What ends an attempt. `rolling_back` does not: the device is about to switch once more.
constexpr auto kEnds = std::to_array<std::string_view>({"committed", "failed", "rolled_back", "ineligible"});
bool ends(std::string_view state) { return std::find(kEnds.begin(), kEnds.end(), state) != kEnds.end(); }

struct Held {
  std::string model, rollout;
  std::int64_t attempt;
  Site site;
};
Result<std::vector<Held>> held_by(db::Connection& reader, std::int64_t device_n) {
  std::vector<Held> out;
  auto rows = reader.prepare(queries::kPlacesOf);
  rows.bind_all(device_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back({rows.text(0), rows.text(1), rows.int64(2), {rows.text(3), rows.text(4)}});
  }
}

bool is_told(Held const& held, Decision const& decision) {
  return std::any_of(decision.models.begin(), decision.models.end(), [&](Desired const& desired) {
    return desired.model == held.model && desired.target.rollout == held.rollout && desired.target.action == wire::Action::install;
  });
}

Result<void> free(store::Tx& tx, std::int64_t device_n, std::string const& model, Site site, Freed& freed) {
  freed.push_back(std::move(site));
  return tx.prepare(queries::kFreePlace).bind_all(device_n, model).run();
}

/// A place whose time to be looked at has come.
struct Due {
  std::int64_t device_n, rollout_n;
  std::string model;
  Site site;
  Millis left;
  std::string row_state;
};
Result<std::vector<Due>> find_due(db::Connection& reader, Millis now) {
  std::vector<Due> out;
  auto rows = reader.prepare(queries::kPlacesDue);
  rows.bind_all(now.count(), kPlacesALook);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back({rows.int64(0), rows.int64(1), rows.text(2), {rows.text(3), rows.text(4)}, Millis(rows.int64(5)), rows.maybe_text(6).value_or("")});
  }
}

Result<void> look_at(store::Tx& tx, Due const& due, Policy const& policy, ServiceClock const& clock, Freed& freed) {
  auto const& state = due.row_state;
  bool const over = state == ds::kSilent || state == ds::kLeft || state == ds::kHealthy || state == ds::kReverted || due.left <= clock.now();
  FLEET_TRY(auto const own, silence_window(tx.connection(), clock, due.device_n, policy));
  FLEET_TRY(auto const heard, last_heard(tx.connection(), clock, due.device_n));
  auto const quiet_at = heard + std::min(own, kHorizon);
  if (over || quiet_at <= clock.now()) return free(tx, due.device_n, due.model, due.site, freed);
  return tx.prepare(queries::kLookPlace).bind_all(std::min(quiet_at, due.left).count(), due.device_n, due.model).run();
}

}  // namespace

void SiteQueue::wait(Site const& site, std::int64_t device_n) {
  std::lock_guard const lock(mutex_);
  if (size_ < kWaitingMax && waiting_[site].insert(device_n).second) ++size_;
}

std::vector<std::int64_t> SiteQueue::next(Site const& site) {
  std::lock_guard const lock(mutex_);
  std::vector<std::int64_t> out;
  auto const found = waiting_.find(site);
  if (found == waiting_.end()) return out;
  auto& devices = found->second;
  while (!devices.empty() && out.size() < kWoken) out.push_back(devices.extract(devices.begin()).value());
  size_ -= out.size();
  if (devices.empty()) waiting_.erase(found);
  return out;
}

std::string to_text(Site const& site) { return site.label + '=' + site.value; }

Site parse_site(std::string_view text) {
  auto const equals = std::min(text.find('='), text.size());
  return {std::string(text.substr(0, equals)), std::string(text.substr(std::min(equals + 1, text.size())))};
}

void wake(store::Tx& tx, SiteQueue& queue, Freed const& freed) {
  for (auto const& site : freed) {
    for (auto const device_n : queue.next(site)) tx.raise_device_epoch(device_n);
    tx.tell_others(std::string(kFreedAt), to_text(site));
  }
}

Result<std::map<std::string, std::int64_t, std::less<>>> under_way(db::Connection& reader, Snapshot const& snapshot, registry::DeviceFacts const& device) {
  std::map<std::string, std::int64_t, std::less<>> out;
  for (auto const& label : snapshot.site_labels) {
    auto const site = site_of(label, device.hardware, device.labels);
    if (!site) continue;
    auto row = reader.prepare(queries::kPlacesBeside);
    row.bind_all(site->label, site->value, device.n);
    FLEET_CHECK(row.step());
    out[label] = row.int64(0);
  }
  return out;
}

Result<void> take_place(store::Tx& tx, RolloutView const& view, std::int64_t device_n, Desired const& desired, Now const& now) {
  if (!desired.takes) return {};
  FLEET_TRY(auto const window, silence_window(tx.connection(), now.clock, device_n, view.rollout.policy));
  auto const left = now.service() + view.rollout.policy.device.waiting_max + view.attempt_limit;
  auto row = tx.prepare(queries::kTakePlace);
  row.bind_all(device_n, desired.model, view.rollout.n, desired.target.attempt, desired.takes->label, desired.takes->value, left.count(),
               (now.service() + window).count());
  return row.run();
}

Result<bool> holds_in_vain(db::Connection& reader, Snapshot const& snapshot, std::int64_t device_n, Decision const& decision) {
  if (snapshot.site_labels.empty()) return false;
  FLEET_TRY(auto const places, held_by(reader, device_n));
  return std::any_of(places.begin(), places.end(), [&](Held const& held) { return !is_told(held, decision); });
}

Result<void> free_by_word(store::Tx& tx, std::int64_t device_n, Word const& word, Freed& freed) {
  if (!ends(word.state)) return {};
  FLEET_TRY(auto const places, held_by(tx.connection(), device_n));
  for (auto const& held : places)
    if (held.model == word.model && held.rollout == word.rollout && held.attempt <= word.attempt) FLEET_CHECK(free(tx, device_n, held.model, held.site, freed));
  return {};
}

Result<void> free_withdrawn(store::Tx& tx, std::int64_t device_n, ModelStatuses const& told, Decision const& decision, Freed& freed) {
  FLEET_TRY(auto const places, held_by(tx.connection(), device_n));
  for (auto const& held : places) {
    if (is_told(held, decision)) continue;
    auto const status = told.find(held.model);
    bool const at_it = status != told.end() && status->second.rollout == held.rollout && status->second.state != "idle" && !ends(status->second.state);
    if (!at_it) FLEET_CHECK(free(tx, device_n, held.model, held.site, freed));
  }
  return {};
}

Result<void> move_places(store::Tx& tx, registry::DeviceFacts const& device, Freed& freed) {
  FLEET_TRY(auto const places, held_by(tx.connection(), device.n));
  for (auto const& held : places) {
    auto const site = site_of(held.site.label, device.hardware, device.labels);
    if (site == held.site) continue;
    freed.push_back(held.site);
    auto row = tx.prepare(site ? queries::kMovePlace : queries::kFreePlace);
    if (site) row.bind_all(site->value, device.n, held.model);
    else row.bind_all(device.n, held.model);
    FLEET_CHECK(row.run());
  }
  return {};
}

Result<void> drop_places(store::Tx& tx, std::int64_t device_n, Freed& freed) {
  FLEET_TRY(auto const places, held_by(tx.connection(), device_n));
  for (auto const& held : places) freed.push_back(held.site);
  return places.empty() ? Result<void>{} : tx.prepare(queries::kDropPlaces).bind_all(device_n).run();
}

Result<void> look_at_places(Services const& services, Snapshot const& snapshot, ServiceClock const& clock, SiteQueue& queue) {
  if (clock.stands_still()) return {};
  FLEET_TRY(auto const due, find_due(services.store.reader(), clock.now()));
  if (due.empty()) return {};
  return services.store.write_wait(store::Lane::upkeep, services.as_leader([&](store::Tx& tx) -> Result<void> {
    Freed freed;
    for (auto const& one : due) {
      auto const view = snapshot.by_n.find(one.rollout_n);
      FLEET_CHECK(look_at(tx, one, view == snapshot.by_n.end() ? Policy{} : view->second->rollout.policy, clock, freed));
    }
    wake(tx, queue, freed);
    return {};
  }));
}

}  // namespace fleet::rollout
