#pragma once

#include "server/api/handler.hpp"

namespace fleet::api {

/// Which device is at the other end, by the hash of its certificate's key; also on a resumed TLS session. What was found is remembered on the
/// connection until the device's epoch rises.
/// @errors unauthenticated (no_certificate, unknown_device), forbidden (device_revoked, device_retired, certificate_expired)
[[nodiscard]] Result<Actor> identify_device(Services& services, net::Request const& request, SysTime now);

}  // namespace fleet::api
