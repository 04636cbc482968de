#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "core/crypto/keys.hpp"
#include "core/trust/updater.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

/// The writing side of TUF 1.0.34: composes and signs metadata. Canonical JSON in, signed JSON bytes out.
namespace fleet::trust {

using crypto::PublicKey;
using crypto::SigningKey;

/// Who signs a role.
struct RoleSpec {
  std::vector<PublicKey> keys;
  int threshold = 1;
};

struct RootSpec {
  std::int64_t version = 1;
  SysTime expires;
  std::map<std::string, RoleSpec> roles;  ///< exactly root, targets, snapshot, timestamp
  std::string repository = {};            ///< `directive` for the root of directives: a signature for one repository is worth nothing in the other
};

/// A terminating delegation of one model: role `m-<model>`, paths `models/<model>/*/release.json`.
struct Delegation {
  std::string role;
  RoleSpec keys;
  std::vector<std::string> paths;
  bool terminating = true;
};

struct MetaEntry {
  std::int64_t version = 1;
};

[[nodiscard]] std::string compose_root(RootSpec const& spec, std::span<SigningKey const> signers);
[[nodiscard]] std::string compose_targets(std::int64_t version, SysTime expires, std::vector<Target> const& targets, std::vector<Delegation> const& delegations,
                                          std::span<SigningKey const> signers);
/// @param meta  file name (`targets.json`, `m-reader.json`) -> version
[[nodiscard]] std::string compose_snapshot(std::int64_t version, SysTime expires, std::map<std::string, MetaEntry> const& meta,
                                           std::span<SigningKey const> signers);
[[nodiscard]] std::string compose_timestamp(std::int64_t version, SysTime expires, std::int64_t snapshot_version, std::span<SigningKey const> signers);

/// Whether a metadata file holds what compose_* would write for what its decoder reads, and not a byte more: what a person is shown is then all
/// that is signed. Also that it is of its role: a model's role lists that model's releases, `targets` delegates to models and lists nothing itself,
/// `directive-root` is the root of directives and `root` is not.
/// @param role  root, directive-root, targets, m-<model>
/// @errors bad_input (hidden_content, bad_metadata), too_large
[[nodiscard]] Result<void> check_nothing_hidden(std::string const& role, BytesView file);

}  // namespace fleet::trust
