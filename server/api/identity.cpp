#include "server/api/identity.hpp"

#include "core/crypto/hash.hpp"
#include "server/api/queries.hpp"
#include "server/registry/enrol.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

constexpr std::string_view kBearer = "bearer ";

/// The token after the scheme, whose case does not matter (RFC 9110, 11.1); nothing for another scheme.
std::optional<std::string_view> bearer_token(std::string_view authorization) {
  if (authorization.size() < kBearer.size()) return std::nullopt;
  for (std::size_t i = 0; i < kBearer.size(); ++i) {
    auto const c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kBearer[i]) return std::nullopt;
  }
  return authorization.substr(kBearer.size());
}

Error refused(std::string code, std::string detail, std::string hint) {
  return Error{Kind::unauthenticated, std::move(code), std::move(detail), std::move(hint)};
}

/// Looks the key up with the epoch read before the row, so that a change between the two is seen at the next request.
Result<void> look_up(Services& services, net::Peer const& peer, DeviceSession& session, SysTime now) {
  while (true) {
    auto const epoch = services.store.epochs().device(session.device_n);
    FLEET_TRY(auto const known, registry::find_key(services.store.reader(), peer.key_sha256));
    if (!known) {
      return refused("unknown_device", fmt::format("no device has the key {}", peer.key_sha256.hex()), "enrol the device with a join token");
    }
    FLEET_CHECK(registry::check_state(known->id, known->state));
    if (known->n == session.device_n) {
      session.device_id = known->id;
      session.device_epoch = epoch;
      session.not_after = known->not_after;
      if (known->renewed) registry::adopt_renewed_key(services.store, known->n, peer.key_sha256, now);
      return {};
    }
    session.device_n = known->n;
    session.decision.reset();
  }
}

}  // namespace

Result<Actor> identify_token(db::Connection& reader, std::string_view authorization, SysTime now) {
  auto const token = bearer_token(authorization);
  if (!token) {
    return refused("no_token", authorization.empty() ? "no Authorization header" : "Authorization is not of the form Bearer <token>",
                   "send Authorization: Bearer <token>; an admin makes one with `fleetctl token create`");
  }
  auto row = reader.prepare(queries::kTokenByHash);
  row.bind(1, crypto::sha256(*token));
  FLEET_TRY(bool const found, row.step());
  if (!found) return refused("unknown_token", "the token is not one of this server", "check that it is whole and meant for this server");
  Actor actor;
  actor.name = row.maybe_text(6).value_or("token:" + row.text(0));
  actor.token_id = row.text(7);
  actor.role = row.text(1);
  actor.model = row.text(2);
  actor.selector = row.text(3);
  if (!row.is_null(5)) {
    return refused("token_revoked", fmt::format("{} was revoked at {}", actor.name, to_rfc3339(from_unix_ms(row.int64(5)))), "ask an admin for another");
  }
  if (!row.is_null(4) && from_unix_ms(row.int64(4)) <= now) {
    return refused("token_expired", fmt::format("{} expired at {}", actor.name, to_rfc3339(from_unix_ms(row.int64(4)))), "ask an admin for another");
  }
  return actor;
}

Result<Actor> identify_device(Services& services, net::Request const& request, SysTime now) {
  if (!request.peer || !request.peer->has_certificate) {
    return refused("no_certificate", "the device listener takes a client certificate", "enrol the device with a join token");
  }
  DeviceSession local;
  auto* session = &local;
  if (request.attachment) {
    if (!*request.attachment) *request.attachment = std::make_unique<DeviceSession>();
    session = static_cast<DeviceSession*>(request.attachment->get());  // nobody else attaches anything to a connection
  }
  bool const fresh = session->device_n != 0 && services.store.epochs().device(session->device_n) == session->device_epoch;
  if (!fresh) {
    auto const looked_up = look_up(services, *request.peer, *session, now);
    if (!looked_up) {
      *session = DeviceSession{};
      return looked_up.error();
    }
  }
  if (session->not_after <= now) {
    return Error{Kind::forbidden, "certificate_expired",
                 fmt::format("the certificate of device {} was valid until {}", session->device_id, to_rfc3339(session->not_after)),
                 "renew it at /device/v1/renew with the same key"};
  }
  Actor actor;
  actor.name = "device:" + session->device_id;
  actor.device_n = session->device_n;
  actor.device_id = session->device_id;
  return actor;
}

}  // namespace fleet::api
