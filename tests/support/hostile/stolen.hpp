#pragma once

#include "core/base/result.hpp"
#include "core/crypto/keys.hpp"
#include "core/trust/updater.hpp"
#include "core/wire/device.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fleet::hostile {

struct StolenRelease {
  std::string model, version, document;
  std::string state;  ///< draft | approved | revoked
  [[nodiscard]] trust::Target target() const;
  /// As a directive orders it.
  [[nodiscard]] wire::DirectiveTarget order() const;
};

/// All that a thief has who copied a server's data folder: metadata as it was signed, releases, blobs, the TLS key, and the role keys that lay there.
struct Stolen {
  std::string dir;
  std::string certificate, private_key;                                 ///< of the TLS listeners, PEM
  std::map<std::string, std::map<std::int64_t, std::string>> metadata;  ///< of the release repository: role -> version -> bytes
  std::map<std::int64_t, std::string> directive_roots;
  std::vector<StolenRelease> releases;
  std::map<std::string, crypto::SigningKey> keys;  ///< by role

  static Result<Stolen> from(std::string const& data_dir);
  [[nodiscard]] StolenRelease const* find(std::string const& model_at_version) const;
  /// The key of a role where it was stolen, else one that has nothing to say.
  [[nodiscard]] crypto::SigningKey const& key_for(std::string const& role) const;
  [[nodiscard]] std::int64_t newest(std::string const& role) const { return metadata.at(role).rbegin()->first; }
  /// What the honest repository would serve, by path: `/device/v1/tuf/...`, `/device/v1/directive/...`, release.json of every release, approved or not.
  [[nodiscard]] std::map<std::string, std::string> files() const;
};

}  // namespace fleet::hostile
