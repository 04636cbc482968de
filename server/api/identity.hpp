#pragma once

#include "server/api/handler.hpp"

namespace fleet::api {

/// Who holds a bearer token. Looked up at every request, so that a revocation bites at the next one.
/// @param authorization  value of the header
/// @errors unauthenticated (codes no_token, unknown_token, token_revoked, token_expired)
[[nodiscard]] Result<Actor> identify_token(db::Connection& reader, std::string_view authorization, SysTime now);

/// Which device is at the other end, by the hash of its certificate's key; also on a resumed TLS session. What was found is remembered on the
/// connection until the device's epoch rises.
/// @errors unauthenticated (no_certificate, unknown_device), forbidden (device_revoked, device_retired, certificate_expired)
[[nodiscard]] Result<Actor> identify_device(Services& services, net::Request const& request, SysTime now);

}  // namespace fleet::api
