#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/crypto/key_files.hpp"
#include "core/crypto/x509.hpp"
#include "server/admin/database.hpp"
#include "server/admin/machine.hpp"
#include "server/store/store.hpp"

#include <functional>
#include <string>
#include <vector>

namespace fleet::admin {

inline constexpr std::chrono::hours kServerLifetime{24 * 365};

/// The folder exists, is empty and for its owner alone. @errors conflict (code `data_dir_not_empty`), io
Result<void> claim_empty_dir(Fs& fs, std::string const& dir);

/// For which time a certificate is made.
struct Validity {
  SysTime now;
  Millis lifetime = kServerLifetime;
};
/// Makes a server certificate for `hosts`, `localhost` and `127.0.0.1`, and writes both files.
Result<crypto::CertificateAndKey> make_server_identity(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, crypto::CertificateAndKey const& ca,
                                                       std::vector<std::string> const& hosts, Validity const& validity);
/// The server's certificate; made anew when two thirds of its lifetime have passed, when it would outlive `validity`, when another CA issues now.
Result<crypto::CertificateAndKey> load_server_identity(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, crypto::CertificateAndKey const& ca,
                                                       std::vector<std::string> const& hosts, Validity const& validity);

/// What `init` was told, kept in `settings`.
struct Identity {
  std::string name;
  std::vector<std::string> hosts;
};
Result<void> save_identity(store::Tx& tx, Identity const& identity);
Result<Identity> load_identity(db::Connection& reader);

/// Changes files of a data folder while no server runs on it, and tells the audit log. @errors conflict (locked), those of `change`
Result<void> change_stopped(Machine const& machine, DataDir const& data, std::string const& actor, std::string const& action,
                            std::function<Result<void>(Layout const&, Identity const&, SysTime)> const& change);

}  // namespace fleet::admin
