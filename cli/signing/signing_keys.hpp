#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/crypto/keys.hpp"
#include "core/trust/proposal.hpp"

#include <string>
#include <vector>

/// Key files of people who sign: 64 hex characters of an Ed25519 seed, 0600, or the same sealed by a passphrase (core/crypto/sealed.hpp). Beside each
/// lies FILE.pub, a TUF key object. A key may lie in a token instead (core/pkcs11): its URI then stands for the file.
namespace fleet::cli {

/// Makes FILE and FILE.pub. @param passphrase_file  empty: plain. @errors conflict (the file is there), bad_input (short_passphrase), io
[[nodiscard]] Result<crypto::PublicKey> make_signing_key(Fs& fs, Random& random, std::string const& path, std::string const& passphrase_file);
/// @param keys  files or URIs
/// @errors not_found, bad_input (bad_key_file), unauthenticated (passphrase_needed, wrong_passphrase); as pkcs11::Key::open
[[nodiscard]] Result<std::vector<trust::Signer>> load_signing_keys(Fs& fs, std::vector<std::string> const& keys, std::string const& passphrase_file);
/// The public half of a key in a token, as FILE.pub. @errors bad_input, conflict (the file is there); as pkcs11::Key::open
[[nodiscard]] Result<crypto::PublicKey> export_public_key(Fs& fs, std::string const& uri, std::string const& path);
/// @errors not_found, bad_input
[[nodiscard]] Result<crypto::PublicKey> load_public_key(Fs& fs, std::string const& path);

}  // namespace fleet::cli
