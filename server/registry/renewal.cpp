#include "server/registry/enrolment_rows.hpp"

#include "core/base/log.hpp"
#include "core/crypto/x509.hpp"
#include "server/events/audit.hpp"
#include "server/registry/device_quota.hpp"
#include "server/registry/queries.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::registry {
namespace {

/// Devices start with clocks that lag.
constexpr auto kBackdated = std::chrono::hours(1);

Result<std::string> newest_root(db::Connection& connection, std::string_view repository) {
  auto row = connection.prepare(queries::kNewestRoot);
  row.bind(1, repository);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::corrupt, "no_root", fmt::format("the {} repository has no root metadata", repository), "run `fleet-server check`"};
  return std::string(as_text(row.blob(0)));
}

Result<KnownKey> known_renewer(db::Connection& connection, Digest const& presented_key) {
  FLEET_TRY(auto const known, find_key(connection, presented_key));
  if (!known)
    return Error{Kind::unauthenticated, "unknown_device", fmt::format("no device has the key {}", presented_key.hex()), "enrol the device with a join token"};
  FLEET_CHECK(check_state(known->id, known->state));
  return *known;
}

/// Another key before the certificate is due: a few are fair (a disk that was set back); each is an entry of the audit log, which is kept for ever.
Result<void> check_may_rekey(store::Tx& tx, KnownKey const& known, Millis lifetime, SysTime now) {
  FLEET_TRY(auto quota, DeviceQuota::load(tx, known.n, renewals_of_device(lifetime), now));
  if (quota.take()) return quota.save(tx);
  return Error{Kind::throttled, "too_many_renewals",
               fmt::format("device {} asked for other keys too often before its certificate was due; the next may come in {}", known.id, to_string(quota.wait())),
               "keep the key of the last renewal; ask again when a poll says `renew`"};
}

}  // namespace

Result<void> set_not_after(store::Tx& tx, std::int64_t n, SysTime until) {
  auto set = tx.prepare(queries::kSetNotAfter);
  set.bind_all(n, to_unix_ms(until));
  FLEET_CHECK(set.run());
  tx.raise_device_epoch(n);
  return {};
}

Result<void> record_key(store::Tx& tx, std::string action, std::string_view id, Digest const& key, events::Deed const& deed, std::string_view origin) {
  boost::json::object after{{"key", key.hex()}};
  if (!origin.empty()) after["by"] = origin;
  auto known = deed;
  if (known.actor.empty()) known.actor = fmt::format("device:{}", id);
  return events::record(tx, known, std::move(action), fmt::format("device/{}", id), {}, boost::json::serialize(after));
}

Result<void> put_pending(store::Tx& tx, std::string const& id, std::string const& hardware, wire::Labels const& labels, std::string_view token_id,
                         Asked const& asked, events::Deed const& deed) {
  auto put = tx.prepare(queries::kPutPending);
  put.bind_all(id, asked.key, asked.request.csr, hardware, labels_json(labels), labels_json(asked.request.reported), token_id, to_unix_ms(deed.at));
  return put.run();
}

Result<wire::EnrollResponse> answer_device(Services& services, std::string const& id, std::string const& csr, bool active, events::Deed const& deed, SysTime until) {
  wire::EnrollResponse out;
  out.id = id;
  out.state = active ? "active" : "pending";
  out.ca = services.ca.certificate;
  FLEET_TRY(out.tuf_root, newest_root(services.store.reader(), "release"));
  FLEET_TRY(out.directive_root, newest_root(services.store.reader(), "directive"));
  if (auto const device = load_device(services.store.reader(), id)) out.hardware = device->hardware;
  if (active) {
    FLEET_TRY(out.certificate, crypto::issue_device_certificate(services.ca, csr, id, deed.at - kBackdated, until));
  }
  return out;
}

Result<std::optional<KnownKey>> find_key(db::Connection& connection, Digest const& key) {
  for (auto const* query : {&queries::kKey, &queries::kRenewedKey}) {
    auto row = connection.prepare(*query);
    row.bind(1, key);
    FLEET_TRY(bool const found, row.step());
    if (found) return std::optional(KnownKey{row.int64(0), row.text(1), row.text(2), from_unix_ms(row.int64(3)), query == &queries::kRenewedKey});
  }
  return std::optional<KnownKey>{};
}

Result<void> check_state(std::string_view id, std::string_view state) {
  if (state == "active") return {};
  return Error{Kind::forbidden, fmt::format("device_{}", state), fmt::format("device {} is {}", id, state),
               "an operator must delete it or approve a new enrolment"};
}

Result<void> check_renewer(db::Connection& reader, Digest const& presented_key) {
  FLEET_CHECK(known_renewer(reader, presented_key));
  return {};
}

Result<wire::EnrollResponse> renew(Services& services, Digest const& presented_key, std::string const& csr, events::Deed const& deed) {
  FLEET_TRY(auto const info, crypto::inspect_request(csr));
  auto until = deed.at + services.certificate_lifetime;
  auto const job = [&](store::Tx& tx) -> Result<std::string> {
    FLEET_TRY(auto const known, known_renewer(tx.connection(), presented_key));
    FLEET_TRY(auto const holder, find_key(tx.connection(), info.key_sha256));
    if (holder && holder->n != known.n) {
      return Error{Kind::conflict, "key_in_use", fmt::format("the key of this request belongs to device {}", holder->id), "make a new key"};
    }
    if (deed.at < known.not_after - services.certificate_lifetime / 3) {
      // Before its time: what was given is given again, and nothing is written down.
      until = known.not_after;
      if (holder) return known.id;
      FLEET_CHECK(check_may_rekey(tx, known, services.certificate_lifetime, deed.at));
    }
    // One new key at a time: each that waits opens the door as the first one does.
    auto drop = tx.prepare(queries::kDropOtherRenewals);
    drop.bind_all(known.id, presented_key);
    FLEET_CHECK(drop.run());
    if (!holder || holder->renewed) {
      FLEET_TRY(auto const device, load_device(tx.connection(), known.id));
      wire::EnrollRequest const same{{}, csr, device.id, device.hardware, device.reported};
      FLEET_CHECK(put_pending(tx, device.id, device.hardware, device.labels, kRenewal, Asked{same, info.key_sha256, {}, until}, deed));
    }
    FLEET_CHECK(set_not_after(tx, known.n, until));
    FLEET_CHECK(record_key(tx, "device.renewed", known.id, info.key_sha256, deed));
    return known.id;
  };
  FLEET_TRY(auto const id, services.store.write_value<std::string>(store::Lane::devices, job));
  return answer_device(services, id, csr, true, deed, until);
}

void adopt_renewed_key(store::Store& store, std::int64_t device_n, Digest const& key, SysTime now) {
  auto const job = [device_n, key, now](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto const known, find_key(tx.connection(), key));
    if (!known || known->n != device_n || !known->renewed) return {};
    auto drop = tx.prepare(queries::kDropRenewals);
    drop.bind(1, known->id);
    FLEET_CHECK(drop.run());
    auto set = tx.prepare(queries::kSetKey);
    set.bind_all(device_n, key);
    FLEET_CHECK(set.run());
    tx.raise_device_epoch(device_n);
    return record_key(tx, "device.rekeyed", known->id, key, events::Deed{now, {}});
  };
  store.write(store::Lane::devices, job, [device_n](Result<void> const& written) {
    if (!written) log::error("renewed_key_not_adopted", {{"device", device_n}, {"detail", written.error().detail}});
  });
}

}  // namespace fleet::registry
