#pragma once

#include "core/crypto/x509.hpp"
#include "server/registry/devices.hpp"
#include "server/services.hpp"

#include <optional>
#include <string>

/// How a device comes in, and how it is known from then on: by the SHA-256 of its certificate's public key (docs/protocol.md, enroll and renew).
namespace fleet::registry {

/// Whom a key belongs to.
struct KnownKey {
  std::int64_t n = 0;
  std::string id, state;
  SysTime not_after{};   ///< of the newest certificate the server gave out
  bool renewed = false;  ///< a key that a renewal brought, seen for the first time: the old one still counts
};
[[nodiscard]] Result<std::optional<KnownKey>> find_key(db::Connection& connection, Digest const& key);
/// @errors forbidden (device_revoked, device_retired)
[[nodiscard]] Result<void> check_state(std::string_view id, std::string_view state);

/// POST /device/v1/enroll. A join token is used once; the same device may ask again with it and its key: to fetch the certificate of an
/// enrolment that was pending, or an answer that got lost. Not for an io thread: waits for the commit.
/// @errors bad_input, unauthenticated (unknown_join_token, join_token_expired, join_token_used, join_token_revoked), forbidden,
///         conflict (key_in_use)
/// Without a token a factory certificate admits, which the peer proved to hold (factory.hpp).
/// @param peer  may be null
[[nodiscard]] Result<wire::EnrollResponse> enrol(Services& services, wire::EnrollRequest const& request, net::Peer const* peer, events::Deed const& deed);

/// Whether a renewal is open to whoever holds this key: an active device, its certificate expired or not. @errors unauthenticated, forbidden
[[nodiscard]] Result<void> check_renewer(db::Connection& reader, Digest const& presented_key);
/// POST /device/v1/renew: a certificate for the same key, or for a new one that the old certificate speaks for. The old key counts until the
/// new one was seen, so that a lost answer locks nobody out. Not for an io thread.
/// @errors unauthenticated, forbidden, bad_input, conflict (key_in_use)
[[nodiscard]] Result<wire::EnrollResponse> renew(Services& services, Digest const& presented_key, std::string const& csr, events::Deed const& deed);
/// Makes a renewed key the device's only one, soon; its device has just used it.
void adopt_renewed_key(store::Store& store, std::int64_t device_n, Digest const& key, SysTime now);

/// Settles a pending enrolment: from now on its key is the device's, and it may fetch its certificate.
/// @param key       which of several; empty: the only one
/// @param replaces  another device, whose labels it takes over and which is retired; or empty
/// @errors not_found, conflict (nothing_pending, key_needed)
[[nodiscard]] Result<Device> approve_enrolment(store::Tx& tx, std::string_view id, std::string_view key, std::string_view replaces, events::Deed const& deed);

}  // namespace fleet::registry
