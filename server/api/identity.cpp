#include "server/api/identity.hpp"

#include "server/registry/enrol.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

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
