#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/crypto/keys.hpp"
#include "server/store/store.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fleet::catalog {

/// The private keys the server holds (managed mode), one file a role in DIR/keys, 0600. Thread-safe.
/// Role names: `root`, `targets`, `snapshot`, `timestamp`, `m-<model>`; `directive-root` holds all four roles of the directive repository; `audit` signs
/// checkpoints of the audit log.
class KeyRing {
public:
  KeyRing(Fs& fs, Random& random, std::string keys_dir);
  /// The key of a role. @errors unavailable (code `key_offline`: kept elsewhere), io
  Result<crypto::SigningKey> get(std::string const& role);
  /// Makes the key if there is none yet; durable before it returns.
  Result<crypto::SigningKey> get_or_create(std::string const& role);
  /// A new key in place of the one there was: rotation.
  Result<crypto::SigningKey> replace(std::string const& role);

private:
  [[nodiscard]] std::string path_of(std::string const& role) const;
  Result<crypto::SigningKey> load(std::string const& role);
  Result<crypto::SigningKey> store_new(std::string const& role);

  Fs& fs_;
  Random& random_;
  std::string dir_;
  std::mutex mutex_;
  std::map<std::string, crypto::SigningKey> loaded_;
};

}  // namespace fleet::catalog
