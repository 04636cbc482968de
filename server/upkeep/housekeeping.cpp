#include "server/upkeep/housekeeping.hpp"

#include "core/base/log.hpp"
#include "server/events/audit.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/trust_status.hpp"
#include "server/admin/data_dir.hpp"

#include <algorithm>

namespace fleet::upkeep {
namespace {

constexpr std::chrono::hours kEvery{1};
constexpr std::chrono::minutes kLookAtLog{1};
constexpr std::int64_t kUnsignedMax = 1'000;
constexpr std::uint64_t kPemBytesMax = 64 * 1024;

using Work = Result<void> (*)(store::Tx&, Services&, SysTime);

void repeat(Services& services, Millis every, Work work) {
  services.net->after(0, every, [&services, every, work] {
    if (services.draining.load()) return;
    repeat(services, every, work);
    if (!services.leads()) return;
    auto const job = [&services, work](store::Tx& tx) { return work(tx, services, services.clock.wall()); };
    services.store.write(store::Lane::upkeep, services.as_leader(job), [](Result<void> const& done) {
      if (!done && done.error().code != store::Lease::kLost) log::error("housekeeping.failed", {{"code", done.error().code}, {"detail", done.error().detail}});
    });
  });
}

Result<void> sign_log(store::Tx& tx, Services& services, SysTime now) {
  FLEET_TRY(auto const key, services.keys->get_or_create("audit"));
  FLEET_TRY(auto const head, events::checkpoint(tx, key, now));
  log::info("audit.checkpoint", {{"seq", head.seq}});
  return {};
}

/// A busy server's log is signed by count, too.
Result<void> sign_long_log(store::Tx& tx, Services& services, SysTime now) {
  FLEET_TRY(auto const waiting, events::count_unsigned(tx.connection()));
  if (waiting < kUnsignedMax) return {};
  return sign_log(tx, services, now);
}

Result<void> renew_server_identity(Services& services, crypto::KeyFiles const& keys, std::vector<std::string> const& hosts) {
  admin::Layout const layout{services.data_dir};
  FLEET_TRY(auto const before, services.fs.read(layout.server_certificate(), kPemBytesMax));
  FLEET_TRY(auto const identity, admin::load_server_identity(services.fs, keys, layout, services.ca, hosts, {services.clock.wall(), services.certificate_lifetime}));
  if (identity.certificate == before) return {};
  FLEET_CHECK(services.net->replace_certificate(identity.certificate, identity.private_key));
  FLEET_TRY(auto const info, crypto::inspect_certificate(identity.certificate));
  services.certificate_until = info.not_after;
  log::info("server_certificate.renewed", {{"until", to_rfc3339(info.not_after)}, {"serial", info.serial}});
  return {};
}

}  // namespace

Result<void> tidy_up(store::Tx& tx, Services& services, SysTime now) {
  FLEET_TRY(int const signed_again, signing::refresh_online_roles(tx, *services.keys, now));
  if (signed_again > 0) log::info("metadata.refreshed", {{"roles", signed_again}});
  FLEET_CHECK(signing::warn_of_expiry(tx, *services.keys, now));
  return sign_log(tx, services, now);
}

void schedule_renewal(Services& services, crypto::KeyFiles const& keys, std::vector<std::string> hosts) {
  auto const every = std::clamp<Millis>(services.certificate_lifetime / 12, Millis{500}, kEvery);
  services.net->after(0, every, [&services, keys, hosts = std::move(hosts)] {
    if (services.draining.load()) return;
    auto const renewed = renew_server_identity(services, keys, hosts);
    if (!renewed) log::error("server_certificate.not_renewed", {{"code", renewed.error().code}, {"detail", renewed.error().detail}});
    schedule_renewal(services, keys, hosts);
  });
}

void schedule_housekeeping(Services& services) {
  repeat(services, kEvery, tidy_up);
  repeat(services, kLookAtLog, sign_long_log);
}

}  // namespace fleet::upkeep
