#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"

#include <memory>
#include <optional>
#include <string>

namespace fleet::crypto {

/// Files that hold private keys, 0600 each: as they are, or sealed. Sealed, every file is encrypted with one master key (XChaCha20-Poly1305, libsodium),
/// and the master key with a passphrase (`sealed.hpp`): Argon2id runs once a start, however many keys there are. Copies share the master key; thread-safe.
class KeyFiles {
public:
  /// Keys that are not sealed.
  KeyFiles(Fs& fs, Random& random) : fs_(fs), random_(random) {}
  /// Sealed where `master_file` is, else as they are.
  /// @errors unauthenticated (passphrase_needed, wrong_passphrase), bad_input (keys_not_sealed: a passphrase, and nothing to open), corrupt, io
  [[nodiscard]] static Result<KeyFiles> open(Fs& fs, Random& random, std::string const& master_file, std::optional<std::string> const& passphrase);
  /// Makes the master key. What was written before stays as it is until `seal`. @errors conflict (keys_sealed), io
  [[nodiscard]] static Result<KeyFiles> create(Fs& fs, Random& random, std::string const& master_file, std::string_view passphrase);

  [[nodiscard]] bool sealed() const { return master_ != nullptr; }
  /// @errors not_found, corrupt (key_damaged), conflict (key_not_sealed: a plain file among sealed ones), unauthenticated (a sealed file, and no master key)
  [[nodiscard]] Result<std::string> read(std::string const& path) const;
  /// Durable before it returns.
  Result<void> write(std::string const& path, std::string_view content) const;
  /// Seals a file that lies there plain. @returns whether it did. @errors not_found, corrupt, io
  Result<bool> seal_plain(std::string const& path) const;
  /// Seals the master key with another passphrase; the key files stay as they are. @errors conflict (keys_not_sealed), io
  Result<void> change_passphrase(std::string const& master_file, std::string_view passphrase) const;

private:
  class Master;
  Fs& fs_;
  Random& random_;
  std::shared_ptr<Master const> master_;  ///< null: as they are
};

}  // namespace fleet::crypto
