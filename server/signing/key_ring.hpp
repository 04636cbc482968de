#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/crypto/key_files.hpp"
#include "core/crypto/keys.hpp"
#include "server/store/store.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fleet::signing {

/// For what only the owners of a role can sign: unavailable (code `key_offline`)
[[nodiscard]] Error key_offline(std::string const& role);

/// The private keys the server holds (managed mode), one file a role in DIR/keys. Thread-safe.
/// Role names: `root`, `targets`, `snapshot`, `timestamp`, `m-<model>`; `directive-root` signs directives and, as long as its root is not elsewhere, all
/// four roles of the directive repository; `audit` signs checkpoints of the audit log; `data` signs nothing: data keys come out of its seed (data_keys.hpp).
class KeyRing {
public:
  KeyRing(Fs& fs, Random& random, crypto::KeyFiles files, std::string keys_dir);
  /// Keys that are not sealed.
  KeyRing(Fs& fs, Random& random, std::string keys_dir) : KeyRing(fs, random, crypto::KeyFiles(fs, random), std::move(keys_dir)) {}
  /// The key of a role. @errors unavailable (code `key_offline`: kept elsewhere), io
  Result<crypto::SigningKey> get(std::string const& role);
  /// Makes the key if there is none yet; durable before it returns.
  Result<crypto::SigningKey> get_or_create(std::string const& role);
  /// A new key in place of the one there was, at once: for `restore`, which may be run again.
  Result<crypto::SigningKey> replace(std::string const& role);

  // Rotation: the old key's file stays until the metadata that names the new one is committed.
  /// Makes a key, keeps it beside the old one (`ROLE.next`), and signs with it from now on. @returns the old one. @errors key_offline
  Result<crypto::SigningKey> begin_rotation(std::string const& role);
  /// For a change that others must sign first: the key that will take this one's place, made now, instead of one that waited. The old one goes on signing.
  Result<crypto::PublicKey> prepare_rotation(std::string const& role);
  /// In the transaction of what others signed: the prepared key signs from now on. @errors not_found (none was prepared), io
  Result<void> use_prepared(std::string const& role);
  /// Nothing was committed: the old key signs again, and the prepared one waits.
  void undo_use(std::string const& role);
  /// After the commit: the new key's file takes the old one's place.
  Result<void> end_rotation(std::string const& role);
  /// Nothing was committed: the old key signs again.
  void undo_rotation(std::string const& role);

  // Moving a role's key off the server: the file stays until the metadata that names other keys is committed.
  /// From now on as if the key were not here.
  void withhold(std::string const& role);
  /// Nothing was committed: the key is here again.
  void undo_withhold(std::string const& role);
  /// After the commit: the key's file goes, durably. Fine if there is none.
  Result<void> drop(std::string const& role);
  /// Roles whose rotation neither ended nor was undone: the process died in between. With the public key that was made.
  Result<std::vector<std::pair<std::string, crypto::PublicKey>>> open_rotations();

  // Of several nodes all hold the same keys (server/nodes/key_share.hpp).
  /// Roles whose key was made, replaced or given away here since `shared`, and are to be told to the others.
  [[nodiscard]] std::set<std::string> changed();
  void shared();
  /// Each role whose key lies here and that is none of these is to be told. @errors io
  Result<void> share_others(std::vector<std::string> const& roles);
  /// The secret part of the key that signs for the role now; nothing: it is kept elsewhere. @errors io
  Result<std::optional<Bytes>> seed_of(std::string const& role);
  /// The role's key as another node has it; nothing: it is kept elsewhere. Durable before it returns; fine where it is so already.
  Result<void> adopt(std::string const& role, std::optional<BytesView> seed);

private:
  [[nodiscard]] std::string path_of(std::string const& role) const;
  [[nodiscard]] std::string next_path_of(std::string const& role) const;
  Result<crypto::SigningKey> load(std::string const& role);
  Result<crypto::SigningKey> store_new(std::string const& role, std::string const& path);

  Fs& fs_;
  Random& random_;
  crypto::KeyFiles files_;
  std::string dir_;
  std::mutex mutex_;
  std::map<std::string, crypto::SigningKey> loaded_;
  std::set<std::string> withheld_;
  std::set<std::string> changed_, sharing_;  ///< of sharing_ a commit is under way
};

}  // namespace fleet::signing
