#include "server/registry/enrolment_rows.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/hpke.hpp"
#include "server/registry/factory.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/registry/queries.hpp"

#include <fmt/format.h>

namespace fleet::registry {
namespace {

constexpr std::int64_t kPendingMax = 4;  // of one device

/// What lets a device in, and what it binds: wins over what the device claims.
struct Admission {
  std::string id, device_id, hardware;
  wire::Labels labels;
  std::string within = {};                 ///< selector that the device must match, before and after; empty: any
  std::optional<std::string> cache = {};  ///< as devices.cache has it
};

struct JoinToken : Admission {
  SysTime expires_at{};
  bool used = false;
  std::string used_by;
};

/// What an enrolment led to.
struct Enrolled {
  std::string id;
  bool active = false;
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
  out.within = row.text(8);
  out.cache = row.maybe_text(9);
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

Result<void> add_device(store::Tx& tx, std::string const& id, std::string const& hardware, Admission const& admission, Asked const& asked, events::Deed const& deed) {
  auto add = tx.prepare(queries::kAddDevice);
  add.bind_all(id, hardware, labels_json(admission.labels), labels_json(asked.request.reported), asked.key, to_unix_ms(asked.not_after), to_unix_ms(deed.at),
               admission.cache);
  FLEET_TRY(auto const device_n, add.returned());
  tx.raise_device_epoch(device_n);
  return record_key(tx, "device.enrolled", id, asked.key, deed, admission.id);
}

/// The same device with the same key, admitted anew: what the admission binds holds, the rest stays.
Result<void> refresh_device(store::Tx& tx, Device const& device, std::string const& hardware, Admission const& admission, Asked const& asked,
                            events::Deed const& deed) {
  FLEET_CHECK(check_state(device.id, device.state));
  auto const labels = merged(device.labels, admission.labels);
  FLEET_CHECK(set_not_after(tx, device.n, asked.not_after));
  // A factory's certificate may be shown again and again: what tells nothing new leaves nothing behind.
  if (asked.request.token.empty() && hardware == device.hardware && labels == device.labels && asked.request.reported == device.reported) return {};
  auto refresh = tx.prepare(queries::kRefreshDevice);
  refresh.bind_all(device.n, hardware, labels_json(labels), labels_json(asked.request.reported));
  FLEET_CHECK(refresh.run());
  return record_key(tx, "device.enrolled", device.id, asked.key, deed, admission.id);
}

/// Keys that wait for an operator are few for each device. @return whether this one is new among them
Result<bool> check_waiting(store::Tx& tx, std::string const& id, Digest const& key) {
  auto beside = tx.prepare(queries::kPendingBeside);
  FLEET_CHECK(beside.bind_all(id, key).step());
  if (beside.int64(0) < kPendingMax) return beside.int64(1) == 0;
  return Error{Kind::throttled, "too_many_pending", fmt::format("{} other keys wait for an operator to settle device {} already", kPendingMax, id),
               "`fleetctl device approve` one of them; what nobody settles is forgotten after 30 days"};
}

/// What a token's maker was limited to holds for whom it lets in: a device that is elsewhere is not brought over by enrolling again.
Result<void> check_within(db::Connection& connection, Admission const& admission, std::string_view id, std::string_view hardware,
                          std::optional<Device> const& known) {
  if (admission.within.empty()) return {};
  FLEET_TRY(auto const scope, read_kept_selector(connection, admission.within));
  FLEET_TRY(auto const lists, load_lists(connection, id));
  Running running;
  if (known) {
    FLEET_TRY(running, load_running(connection, known->n));
  }
  auto const labels = known ? merged(known->labels, admission.labels) : admission.labels;
  bool const was = !known || scope.matches({known->id, known->hardware, known->state, &known->labels, &running.versions, &lists});
  if (was && scope.matches({id, hardware, "active", &labels, &running.versions, &lists})) return {};
  return Error{Kind::forbidden, "out_of_scope", fmt::format("join token {} is not for device {}", admission.id, id),
               "whoever made it may let in other devices only: ask an operator of this one for a token"};
}

/// A cache stays one, and a device a device.
Result<void> check_kind(Admission const& admission, std::optional<Device> const& known) {
  if (!known || known->cache.has_value() == admission.cache.has_value()) return {};
  return Error{Kind::conflict, "other_kind", fmt::format("{} is enrolled as a {}, the join token is for a {}", known->id, known->cache ? "cache" : "device",
                                                         admission.cache ? "cache" : "device"),
               "take another id, or delete the old one first"};
}

Result<Enrolled> settle(store::Tx& tx, Admission const& admission, Asked const& asked, events::Deed const& deed) {
  FLEET_TRY(auto const holder, find_holder(tx.connection(), asked.key));
  auto id = admission.device_id.empty() ? asked.request.id : admission.device_id;
  if (id.empty()) id = holder ? holder->id : asked.fresh_id;
  FLEET_CHECK(check_id("id", id));
  auto const hardware = admission.hardware.empty() ? asked.request.hardware : admission.hardware;
  FLEET_CHECK(check_id("hardware", hardware));
  if (holder && holder->id != id) {
    return Error{Kind::conflict, "key_in_use", fmt::format("the key of this request belongs to device {}, the request is for {}", holder->id, id),
                 "make a new key for a new device"};
  }
  FLEET_TRY(auto const known, find_device(tx.connection(), id));
  FLEET_CHECK(check_kind(admission, known));
  FLEET_CHECK(check_within(tx.connection(), admission, id, hardware, known));
  bool const active = !known || known->key == asked.key;
  if (!known) {
    FLEET_CHECK(add_device(tx, id, hardware, admission, asked, deed));
  } else if (active) {
    FLEET_CHECK(refresh_device(tx, *known, hardware, admission, asked, deed));
  }
  if (active) {
    std::int64_t rewrapped = 0;
    if (!asked.wrap_key.empty()) {
      FLEET_TRY(rewrapped, tx.prepare(queries::kSetWrapKey).bind_all(id, asked.wrap_key).affected());
    }
    if (rewrapped > 0 && known) FLEET_CHECK(record_key(tx, "device.wrap_key_changed", id, crypto::sha256(asked.wrap_key), deed, admission.id));
  } else {
    FLEET_TRY(bool const fresh, check_waiting(tx, id, asked.key));
    FLEET_CHECK(put_pending(tx, id, hardware, admission.labels, admission.id, asked, deed));
    if (!asked.wrap_key.empty()) FLEET_CHECK(tx.prepare(queries::kSetPendingWrapKey).bind_all(id, asked.key, asked.wrap_key).run());
    if (fresh) FLEET_CHECK(record_key(tx, "device.enrolment_pending", id, asked.key, deed, admission.id));
  }
  return Enrolled{id, active};
}

Result<Enrolled> settle_token(store::Tx& tx, Asked const& asked, events::Deed const& deed) {
  FLEET_TRY(auto const token, load_token(tx, asked.request.token));
  if (token.used) return resume(tx, token, asked);
  if (token.expires_at <= deed.at) {
    return refused("join_token_expired", fmt::format("join token {} expired at {}", token.id, to_rfc3339(token.expires_at)));
  }
  FLEET_TRY(auto const enrolled, settle(tx, token, asked, deed));
  auto use = tx.prepare(queries::kUseJoinToken);
  use.bind_all(token.id, to_unix_ms(deed.at), enrolled.id);
  FLEET_CHECK(use.run());
  return enrolled;
}

/// What a factory certificate admits; it may be shown again and again, and names the device each time.
Result<Admission> admit_by_factory(Services& services, net::Peer const* peer, SysTime now) {
  if (services.factories_file.empty() || peer == nullptr || peer->certificate.empty())
    return refused("no_join_token", "the request carries no join token, and no factory certificate stands for the device");
  FLEET_TRY(auto const factories, load_factories(services.fs, services.factories_file));
  FLEET_TRY(auto const device, recognise(factories, peer->certificate, now));
  return Admission{device.origin, device.id, device.hardware, device.labels};
}

}  // namespace

Result<wire::EnrollResponse> enrol(Services& services, wire::EnrollRequest const& request, net::Peer const* peer, events::Deed const& deed) {
  FLEET_TRY(auto const info, crypto::inspect_request(request.csr));
  auto const until = deed.at + services.certificate_lifetime;
  Asked asked{request, info.key_sha256, make_ulid("dev-", to_unix_ms(deed.at), services.random), until};
  if (!request.wrap_key.empty()) {
    auto recipient = crypto::read_recipient(request.wrap_key);
    if (!recipient) return Error{Kind::bad_input, "bad_wrap_key", recipient.error().detail, "a public key of P-256 or X25519, in PEM"};
    asked.wrap_key = *std::move(recipient);
  }
  Admission factory;
  if (request.token.empty()) {
    FLEET_TRY(factory, admit_by_factory(services, peer, deed.at));
  }
  auto const job = [&](store::Tx& tx) { return request.token.empty() ? settle(tx, factory, asked, deed) : settle_token(tx, asked, deed); };
  FLEET_TRY(auto const enrolled, services.store.write_value<Enrolled>(store::Lane::devices, job));
  return answer_device(services, enrolled.id, request.csr, enrolled.active, deed, until);
}

Result<Device> approve_enrolment(store::Tx& tx, std::string_view id, std::string_view key, std::string_view replaces, events::Deed const& deed) {
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
    if (old.state == "active") FLEET_CHECK(set_state(tx, old, "retired", deed));
  }
  auto rekey = tx.prepare(queries::kRekeyDevice);
  rekey.bind_all(device.n, chosen->hardware, labels_json(labels), labels_json(chosen->reported), chosen->key);
  FLEET_CHECK(rekey.run());
  FLEET_CHECK(tx.prepare(queries::kForgetTiers).bind_all(device.n).run());
  auto forget = tx.prepare(queries::kForgetModels);  // another board: what the first one ran says nothing of it
  forget.bind(1, device.n);
  FLEET_CHECK(forget.run());
  FLEET_CHECK(tx.prepare(queries::kAdoptWrapKey).bind_all(id, chosen->key).run());
  auto drop = tx.prepare(queries::kDropPending);
  drop.bind_all(id, chosen->key);
  FLEET_CHECK(drop.run());
  // Keys that the first board asked for and never used would let it in again.
  auto renewals = tx.prepare(queries::kDropRenewals);
  renewals.bind(1, id);
  FLEET_CHECK(renewals.run());
  FLEET_CHECK(record_key(tx, "device.approved", id, chosen->key, deed));
  tx.raise_device_epoch(device.n);
  return load_device(tx.connection(), id);
}

}  // namespace fleet::registry
