#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/crypto/key_files.hpp"
#include "core/crypto/x509.hpp"
#include "server/admin/layout.hpp"
#include "server/services.hpp"

#include <string>
#include <vector>

/// The CAs of a data folder (docs/operators.md, The CA's succession): DIR/ca.pem holds every one that devices and people shall trust,
/// DIR/ca.key belongs to the one that issues, and DIR/ca-next.key, while there is one, to its successor.
namespace fleet::admin {

inline constexpr std::chrono::hours kCaLifetime{24 * 3653};  ///< ten years

/// @returns the issuer's key, and all certificates with the issuer's first. @errors corrupt (code `no_issuer`: no certificate fits DIR/ca.key), io
[[nodiscard]] Result<crypto::CertificateAndKey> read_ca(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout);

/// One CA of a data folder, as people see it.
struct Authority {
  crypto::CertificateInfo info;
  std::string state;  ///< issues | announced (its key waits) | trusted
};
[[nodiscard]] Result<std::vector<Authority>> list_authorities(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout);

/// Makes the issuer's successor and puts it among those that shall be trusted. May be cut at any point and repeated.
/// @errors conflict (code `succession_under_way`)
Result<void> add_successor(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, std::string const& name, SysTime now);
/// The successor issues from now on, and is the only one that shall be trusted. May be cut at any point and repeated.
/// @errors conflict (code `no_successor`)
Result<void> retire_issuer(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout);

/// The version of what DIR/ca.pem announces to devices: one more than before when it changed since.
/// @param several  other servers announce, too @errors conflict (`old_ca`, where there are several: the folder slept through a succession)
[[nodiscard]] Result<std::int64_t> announce_ca(store::Tx& tx, std::string const& bundle, bool several);
/// After a restore: above whatever the lost server can have announced (docs/protocol.md, Restore).
Result<void> raise_announcement(store::Tx& tx, SysTime now);

}  // namespace fleet::admin
