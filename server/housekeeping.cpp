#include "server/housekeeping.hpp"

#include "core/base/log.hpp"
#include "server/audit/audit.hpp"
#include "server/catalog/repository.hpp"
#include "server/catalog/trust_status.hpp"
#include "server/telemetry/fold.hpp"

namespace fleet::server {
namespace {

constexpr std::chrono::hours kEvery{1};

}  // namespace

Result<void> tidy_up(store::Tx& tx, Services& services, SysTime now) {
  FLEET_TRY(int const signed_again, catalog::refresh_online_roles(tx, *services.keys, now));
  if (signed_again > 0) log::info("metadata.refreshed", {{"roles", signed_again}});
  FLEET_CHECK(catalog::warn_of_expiry(tx, *services.keys, now));
  FLEET_TRY(auto const audit_key, services.keys->get_or_create("audit"));
  FLEET_TRY(auto const head, audit::checkpoint(tx, audit_key, now));
  log::info("audit.checkpoint", {{"seq", head.seq}});
  return telemetry::prune(tx, now);
}

void schedule_housekeeping(Services& services) {
  services.net->after(0, kEvery, [&services] {
    if (services.draining.load()) return;
    schedule_housekeeping(services);
    auto const job = [&services](store::Tx& tx) { return tidy_up(tx, services, services.clock.wall()); };
    services.store.write(job, [](Result<void> const& done) {
      if (!done) log::error("housekeeping.failed", {{"code", done.error().code}, {"detail", done.error().detail}});
    });
  });
}

}  // namespace fleet::server
