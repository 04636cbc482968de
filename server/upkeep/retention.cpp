#include "server/upkeep/retention.hpp"

#include "server/blobs/garbage.hpp"
#include "server/registry/groups.hpp"
#include "server/telemetry/aging.hpp"
#include "server/upkeep/queries.hpp"

#include "core/base/log.hpp"

#include <array>
#include <memory>

namespace fleet::upkeep {
namespace {

using std::chrono::hours;

constexpr int kRowsAStep = 1'000;
constexpr Millis kRest{100};
constexpr std::chrono::minutes kEvery{10};
constexpr hours kCollectEvery{1};

struct Kept {
  db::Query const& forget;  ///< ?1: what is older; ?2: how many rows at most
  hours time;
};
constexpr auto kKept = std::to_array<Kept>({
    {kForgetReplays, hours{24}},
    {kForgetEvents, hours{24 * 30}},
    {kForgetHistory, hours{24 * 90}},
    {kForgetExchanged, hours{24 * 7}},
    {kForgetPending, hours{24 * 30}},
    {kForgetJoinTokens, hours{24 * 30}},
    {kForgetOrders, hours{24}},
    {kForgetSupport, hours{24 * 30}},
});

void schedule(Services& services, Millis rest) {
  services.net->after(0, rest, [&services] {
    if (services.draining.load()) return;
    if (!services.leads()) return schedule(services, kEvery);
    auto const more = std::make_shared<bool>(false);
    auto const job = [&services, more](store::Tx& tx) -> Result<void> {
      auto const now = services.clock.wall();
      FLEET_TRY(*more, forget_old(tx, now));
      if (services.telemetry == nullptr) return {};
      FLEET_TRY(bool const more_to_move, move_telemetry(tx, *services.telemetry, now));
      *more = *more || more_to_move;
      return {};
    };
    // The next step is armed when this one is done: a writer that is busy is not asked twice.
    services.store.write(store::Lane::upkeep, services.as_leader(job), [&services, more](Result<void> const& done) {
      if (!done && done.error().code != store::Lease::kLost) log::error("retention.failed", {{"code", done.error().code}, {"detail", done.error().detail}});
      if (!services.draining.load()) schedule(services, *more ? kRest : Millis{kEvery});
    });
  });
}

/// On a thread of the store's: it may be far away.
void remove_doomed(Services& services) {
  for (bool more = true; more && !services.draining.load();) {
    auto const removed = blobs::remove_doomed(services.store, *services.blobs);
    if (!removed) log::error("collection.failed", {{"code", removed.error().code}, {"detail", removed.error().detail}});
    more = removed && *removed;
  }
}

void collect(Services& services, Millis rest, Digest const& after) {
  services.net->after(0, rest, [&services, after] {
    if (services.draining.load()) return;
    if (!services.leads()) return collect(services, kCollectEvery, {});
    auto const step = std::make_shared<blobs::Collection>();
    auto const job = [&services, after, step](store::Tx& tx) -> Result<void> {
      FLEET_TRY(*step, blobs::collect_garbage(tx, *services.blobs, after, services.clock.wall()));
      return {};
    };
    services.store.write(store::Lane::upkeep, services.as_leader(job), [&services, step](Result<void> const& done) {
      if (!done && done.error().code != store::Lease::kLost) log::error("collection.failed", {{"code", done.error().code}, {"detail", done.error().detail}});
      bool const more = done && step->more;
      if (done && !more && services.blobs->is_shared()) services.blobs->later("doomed", [&services] { remove_doomed(services); });
      if (!services.draining.load()) collect(services, more ? kRest : Millis{kCollectEvery}, more ? step->after : Digest{});
    });
  });
}

}  // namespace

Result<bool> forget_old(store::Tx& tx, SysTime now) {
  bool more = false;
  for (auto const& [query, time] : kKept) {
    auto forget = tx.prepare(query);
    forget.bind_all(to_unix_ms(now - time), kRowsAStep);
    FLEET_TRY(auto const forgotten, forget.affected());
    more = more || forgotten == kRowsAStep;
  }
  FLEET_TRY(bool const more_lists, registry::forget_lists(tx, now, kRowsAStep));
  FLEET_TRY(bool const more_telemetry, telemetry::forget_old(tx, now, kRowsAStep));
  FLEET_TRY(bool const more_to_add_up, telemetry::add_up_old(tx, now, kRowsAStep));
  return more || more_lists || more_telemetry || more_to_add_up;
}

Result<bool> move_telemetry(store::Tx& tx, telemetry::Sink const& sink, SysTime now) {
  FLEET_TRY(auto const waiting, telemetry::load_waiting(tx.connection()));
  if (waiting.rows > sink.waiting_max() / 2) return false;
  return telemetry::move_to_outbox(tx, now, kRowsAStep);
}

void schedule_retention(Services& services) { schedule(services, kRest); }

void schedule_collection(Services& services) { collect(services, kRest, {}); }

}  // namespace fleet::upkeep
