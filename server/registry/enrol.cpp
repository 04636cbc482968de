#include "server/registry/enrol.hpp"

#include "core/base/log.hpp"
#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "server/audit/audit.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/registry/queries.hpp"
#include "server/registry/row.hpp"

#include <fmt/format.h>

namespace fleet::registry {
namespace {

constexpr auto kLifetime = std::chrono::hours(24) * 365;
/// Devices start with clocks that lag.
constexpr auto kBackdated = std::chrono::hours(1);
constexpr std::string_view kRenewal = "renewal";

struct JoinToken {
  std::string id, device_id, hardware;
  wire::Labels labels;
  SysTime expires_at{};
  bool used = false;
  std::string used_by;
};

/// What an enrolment led to.
struct Enrolled {
  std::string id;
  bool active = false;
};

/// A certificate request, its key proved.
struct Asked {
  wire::EnrollRequest const& request;
  Digest key;
  std::string fresh_id;  ///< for a device that names none
  SysTime not_after;
};

Error refused(std::string code, std::string detail) {
  return Error{Kind::unauthenticated, std::move(code), std::move(detail), "ask for another: `fleetctl device token create`"};
}

Result<JoinToken> load_token(store::Tx& tx, std::string_view secret) {
  auto row = tx.prepare(queries::kJoinTokenByHash);
  row.bind(1, crypto::sha256(secret));
  FLEET_TRY(bool const found, row.step());
  if (!found) return refused("unknown_join_token", "the join token is not one of this server");
  JoinToken out;
  out.id = row.text(0);
  if (!row.is_null(7)) return refused("join_token_revoked", fmt::format("join token {} was revoked", out.id));
  out.device_id = row.text(1);
  out.hardware = row.text(2);
  FLEET_TRY(out.labels, parse_labels(row.text_view(3)));
  out.expires_at = from_unix_ms(row.int64(4));
  out.used = !row.is_null(5);
  out.used_by = row.text(6);
  return out;
}

Result<std::optional<Device>> find_device(db::Connection& connection, std::string_view id) {
  auto device = load_device(connection, id);
  if (device) return std::optional(std::move(*device));
  if (device.error().kind == Kind::not_found) return std::optional<Device>{};
  return device.error();
}

Result<std::optional<Device>> find_holder(db::Connection& connection, Digest const& key) {
  auto row = connection.prepare(queries::kDeviceByKey);
  row.bind(1, key);
  FLEET_TRY(bool const found, row.step());
  if (!found) return std::optional<Device>{};
  FLEET_TRY(auto device, read_device(row));
  return std::optional(std::move(device));
}

Result<std::vector<Pending>> load_pending(db::Connection& connection, std::string_view id) {
  auto row = connection.prepare(queries::kPendingOf);
  row.bind(1, id);
  std::vector<Pending> out;
  while (true) {
    FLEET_TRY(bool const found, row.step());
    if (!found) return out;
    FLEET_TRY(auto pending, read_pending(row));
    out.push_back(std::move(pending));
  }
}

Result<void> set_not_after(store::Tx& tx, std::int64_t n, SysTime until) {
  auto set = tx.prepare(queries::kSetNotAfter);
  set.bind_all(n, to_unix_ms(until));
  FLEET_CHECK(set.run());
  tx.raise_device_epoch(n);
  return {};
}

Result<void> record(store::Tx& tx, std::string action, std::string_view id, Digest const& key, Cause const& cause) {
  audit::Entry entry;
  entry.time = cause.at;
  entry.actor = cause.actor.empty() ? fmt::format("device:{}", id) : cause.actor;
  entry.action = std::move(action);
  entry.subject = fmt::format("device/{}", id);
  entry.after = fmt::format(R"({{"key":"{}"}})", key.hex());
  entry.reason = cause.reason;
  entry.request_id = cause.request_id;
  return audit::record(tx, entry);
}

/// A used token in the hands that used it: the certificate again, or still pending.
Result<Enrolled> resume(store::Tx& tx, JoinToken const& token, Asked const& asked) {
  FLEET_TRY(auto const device, find_device(tx.connection(), token.used_by));
  if (device && device->key == asked.key) {
    FLEET_CHECK(check_state(device->id, device->state));
    FLEET_CHECK(set_not_after(tx, device->n, asked.not_after));
    return Enrolled{device->id, true};
  }
  FLEET_TRY(auto const pending, load_pending(tx.connection(), token.used_by));
  for (auto const& one : pending) {
    if (one.key == asked.key && one.token_id == token.id) return Enrolled{token.used_by, false};
  }
  return refused("join_token_used", fmt::format("join token {} was used by device {}", token.id, token.used_by));
}

wire::Labels merged(wire::Labels base, wire::Labels const& over) {
  for (auto const& [key, value] : over) base[key] = value;
  return base;
}

Result<void> add_device(store::Tx& tx, std::string const& id, std::string const& hardware, JoinToken const& token, Asked const& asked, Cause const& cause) {
  auto add = tx.prepare(queries::kAddDevice);
  add.bind_all(id, hardware, labels_json(token.labels), labels_json(asked.request.reported), asked.key, to_unix_ms(asked.not_after), to_unix_ms(cause.at));
  FLEET_CHECK(add.run());
  tx.raise_device_epoch(tx.connection().last_insert_rowid());
  return record(tx, "device.enrolled", id, asked.key, cause);
}

/// The same device with the same key and a fresh token: what the token binds holds, the rest stays.
Result<void> refresh_device(store::Tx& tx, Device const& device, std::string const& hardware, JoinToken const& token, Asked const& asked, Cause const& cause) {
  FLEET_CHECK(check_state(device.id, device.state));
  auto refresh = tx.prepare(queries::kRefreshDevice);
  refresh.bind_all(device.n, hardware, labels_json(merged(device.labels, token.labels)), labels_json(asked.request.reported));
  FLEET_CHECK(refresh.run());
  FLEET_CHECK(set_not_after(tx, device.n, asked.not_after));
  return record(tx, "device.enrolled", device.id, asked.key, cause);
}

Result<void> put_pending(store::Tx& tx, std::string const& id, std::string const& hardware, wire::Labels const& labels, std::string_view token_id,
                         Asked const& asked, Cause const& cause) {
  auto put = tx.prepare(queries::kPutPending);
  put.bind_all(id, asked.key, asked.request.csr, hardware, labels_json(labels), labels_json(asked.request.reported), token_id, to_unix_ms(cause.at));
  return put.run();
}

Result<Enrolled> settle(store::Tx& tx, Asked const& asked, Cause const& cause) {
  FLEET_TRY(auto const token, load_token(tx, asked.request.token));
  if (token.used) return resume(tx, token, asked);
  if (token.expires_at <= cause.at) {
    return refused("join_token_expired", fmt::format("join token {} expired at {}", token.id, to_rfc3339(token.expires_at)));
  }
  FLEET_TRY(auto const holder, find_holder(tx.connection(), asked.key));
  auto id = token.device_id.empty() ? asked.request.id : token.device_id;
  if (id.empty()) id = holder ? holder->id : asked.fresh_id;
  FLEET_CHECK(check_id("id", id));
  auto const hardware = token.hardware.empty() ? asked.request.hardware : token.hardware;
  FLEET_CHECK(check_id("hardware", hardware));
  if (holder && holder->id != id) {
    return Error{Kind::conflict, "key_in_use", fmt::format("the key of this request belongs to device {}, the request is for {}", holder->id, id),
                 "make a new key for a new device"};
  }
  FLEET_TRY(auto const known, find_device(tx.connection(), id));
  bool const active = !known || known->key == asked.key;
  if (!known) {
    FLEET_CHECK(add_device(tx, id, hardware, token, asked, cause));
  } else if (active) {
    FLEET_CHECK(refresh_device(tx, *known, hardware, token, asked, cause));
  } else {
    FLEET_CHECK(put_pending(tx, id, hardware, token.labels, token.id, asked, cause));
    FLEET_CHECK(record(tx, "device.enrolment_pending", id, asked.key, cause));
  }
  auto use = tx.prepare(queries::kUseJoinToken);
  use.bind_all(token.id, to_unix_ms(cause.at), id);
  FLEET_CHECK(use.run());
  return Enrolled{id, active};
}

Result<std::string> newest_root(db::Connection& connection, std::string_view repository) {
  auto row = connection.prepare(queries::kNewestRoot);
  row.bind(1, repository);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::corrupt, "no_root", fmt::format("the {} repository has no root metadata", repository), "run `fleet-server check`"};
  return std::string(as_text(row.blob(0)));
}

/// What the device is told; its certificate only where it is active.
Result<wire::EnrollResponse> answer(Services& services, std::string const& id, std::string const& csr, bool active, Cause const& cause, SysTime until) {
  wire::EnrollResponse out;
  out.id = id;
  out.state = active ? "active" : "pending";
  out.ca = services.ca.certificate;
  FLEET_TRY(out.tuf_root, newest_root(services.store.reader(), "release"));
  FLEET_TRY(out.directive_root, newest_root(services.store.reader(), "directive"));
  if (auto const device = load_device(services.store.reader(), id)) out.hardware = device->hardware;
  if (active) {
    FLEET_TRY(out.certificate, crypto::issue_device_certificate(services.ca, csr, id, cause.at - kBackdated, until));
  }
  return out;
}

}  // namespace

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

Result<wire::EnrollResponse> enrol(Services& services, wire::EnrollRequest const& request, Cause const& cause) {
  FLEET_TRY(auto const info, crypto::inspect_request(request.csr));
  auto const until = cause.at + kLifetime;
  Asked const asked{request, info.key_sha256, make_ulid("dev-", to_unix_ms(cause.at), services.random), until};
  FLEET_TRY(auto const enrolled, services.store.write_value<Enrolled>([&](store::Tx& tx) { return settle(tx, asked, cause); }));
  return answer(services, enrolled.id, request.csr, enrolled.active, cause, until);
}

Result<wire::EnrollResponse> renew(Services& services, Digest const& presented_key, std::string const& csr, Cause const& cause) {
  FLEET_TRY(auto const info, crypto::inspect_request(csr));
  auto const until = cause.at + kLifetime;
  auto const job = [&](store::Tx& tx) -> Result<std::string> {
    FLEET_TRY(auto const known, find_key(tx.connection(), presented_key));
    if (!known) {
      return Error{Kind::unauthenticated, "unknown_device", fmt::format("no device has the key {}", presented_key.hex()), "enrol the device with a join token"};
    }
    FLEET_CHECK(check_state(known->id, known->state));
    FLEET_TRY(auto const holder, find_key(tx.connection(), info.key_sha256));
    if (holder && holder->n != known->n) {
      return Error{Kind::conflict, "key_in_use", fmt::format("the key of this request belongs to device {}", holder->id), "make a new key"};
    }
    if (!holder) {
      FLEET_TRY(auto const device, load_device(tx.connection(), known->id));
      wire::EnrollRequest const same{{}, csr, device.id, device.hardware, device.reported};
      FLEET_CHECK(put_pending(tx, device.id, device.hardware, device.labels, kRenewal, Asked{same, info.key_sha256, {}, until}, cause));
    }
    FLEET_CHECK(set_not_after(tx, known->n, until));
    FLEET_CHECK(record(tx, "device.renewed", known->id, info.key_sha256, cause));
    return known->id;
  };
  FLEET_TRY(auto const id, services.store.write_value<std::string>(job));
  return answer(services, id, csr, true, cause, until);
}

void adopt_renewed_key(store::Store& store, std::int64_t device_n, Digest const& key, SysTime now) {
  auto const job = [device_n, key, now](store::Tx& tx) -> Result<void> {
    FLEET_TRY(auto const known, find_key(tx.connection(), key));
    if (!known || known->n != device_n || !known->renewed) return {};
    auto drop = tx.prepare(queries::kDropPending);
    drop.bind_all(known->id, key);
    FLEET_CHECK(drop.run());
    auto set = tx.prepare(queries::kSetKey);
    set.bind_all(device_n, key);
    FLEET_CHECK(set.run());
    tx.raise_device_epoch(device_n);
    return record(tx, "device.rekeyed", known->id, key, Cause{now, {}, {}, {}});
  };
  store.write(job, [device_n](Result<void> written) {
    if (!written) log::error("renewed_key_not_adopted", {{"device", device_n}, {"detail", written.error().detail}});
  });
}

Result<Device> approve_enrolment(store::Tx& tx, std::string_view id, std::string_view key, std::string_view replaces, Cause const& cause) {
  FLEET_TRY(auto const device, load_device(tx.connection(), id));
  FLEET_TRY(auto const pending, load_pending(tx.connection(), id));
  Pending const* chosen = pending.size() == 1 && key.empty() ? &pending.front() : nullptr;
  std::string keys;
  for (auto const& one : pending) {
    if (one.key.hex() == key) chosen = &one;
    keys += (keys.empty() ? "" : ", ") + one.key.hex();
  }
  if (!chosen && pending.size() > 1 && key.empty()) {
    return Error{Kind::conflict, "key_needed", fmt::format("device {} has {} pending enrolments: {}", id, pending.size(), keys), "name one with --key"};
  }
  if (!chosen) {
    bool const settled = device.state == "active" && (key.empty() || device.key.hex() == key);
    if (settled) return device;
    return Error{Kind::conflict, "nothing_pending", fmt::format("device {} has no pending enrolment{}{}", id, key.empty() ? "" : " with key ", key),
                 keys.empty() ? "`fleetctl device list` with state pending shows those there are" : "pending: " + keys};
  }
  auto labels = merged(device.labels, chosen->labels);
  if (!replaces.empty() && replaces != id) {
    FLEET_TRY(auto const old, load_device(tx.connection(), replaces));
    labels = merged(merged(device.labels, old.labels), chosen->labels);
    if (old.state == "active") FLEET_CHECK(set_state(tx, old, "retired", cause));
  }
  auto rekey = tx.prepare(queries::kRekeyDevice);
  rekey.bind_all(device.n, chosen->hardware, labels_json(labels), labels_json(chosen->reported), chosen->key);
  FLEET_CHECK(rekey.run());
  auto forget = tx.prepare(queries::kForgetModels);  // another board: what the first one ran says nothing of it
  forget.bind(1, device.n);
  FLEET_CHECK(forget.run());
  auto drop = tx.prepare(queries::kDropPending);
  drop.bind_all(id, chosen->key);
  FLEET_CHECK(drop.run());
  FLEET_CHECK(record(tx, "device.approved", id, chosen->key, cause));
  tx.raise_device_epoch(device.n);
  return load_device(tx.connection(), id);
}

}  // namespace fleet::registry
