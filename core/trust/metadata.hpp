#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "core/trust/key_set.hpp"
#include "core/trust/updater.hpp"

#include <boost/json/value.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

/// TUF 1.0.34, section 4: the metadata files, read from untrusted bytes. For .cpp files.
namespace fleet::trust {

/// A metadata file whose signatures are not judged yet: nothing of its content may be used before `verify_threshold`.
struct Signed {
  boost::json::value content;
  std::string covered;                                          ///< canonical form of content: what signatures cover
  std::vector<std::pair<std::string, std::string>> signatures;  ///< key id, signature in hex
};
/// @errors bad_input, too_large
[[nodiscard]] Result<Signed> read_signed(BytesView bytes, std::uint64_t limit_bytes);
/// Counts distinct public keys that signed (TUF 1.0.34, 4.2.1; CVE-2020-15093: not signatures, not key ids).
/// @errors signature (code `threshold_unmet`)
[[nodiscard]] Result<void> verify_threshold(Signed const& file, KeySet const& keys, std::string_view role);

struct Common {
  std::int64_t version = 0;
  SysTime expires{};
};
struct Root : Common {
  std::string repository;  ///< `directive` for the root of directives, else empty: the owners of both may be the same people (ADR 14)
  bool consistent_snapshot = true;
  std::map<std::string, KeySet> roles;
};
struct FileMeta {
  std::int64_t version = 0;
  std::optional<std::uint64_t> length;
  std::map<std::string, std::string> hashes;
};
struct Timestamp : Common {
  FileMeta snapshot;
};
struct Snapshot : Common {
  std::map<std::string, FileMeta> meta;  ///< by file name, `targets.json`
};
struct DelegatedRole {
  std::string name;
  KeySet keys;
  bool terminating = false;
  std::vector<std::string> paths, path_hash_prefixes;
  /// 4.5: shell patterns whose `*` does not cross `/`, or prefixes of the path's SHA-256.
  [[nodiscard]] bool covers(std::string const& path) const;
};
/// TAP 15: 2^bits roles of one key set, chosen by the path's hash.
struct SuccinctRoles {
  KeySet keys;
  int bits = 0;
  std::string prefix;
  [[nodiscard]] std::string role_of(std::string const& path) const;
  [[nodiscard]] bool has(std::string const& role) const;

private:
  [[nodiscard]] std::string bin_name(std::uint64_t bin) const;
};
struct Targets : Common {
  std::map<std::string, Target> targets;
  std::vector<DelegatedRole> delegations;
  std::optional<SuccinctRoles> succinct;
  /// Roles to ask for `path`, in order; the second says whether the search ends with it.
  [[nodiscard]] std::vector<std::pair<std::string, bool>> roles_for(std::string const& path) const;
  /// Keys of a delegated role, or nothing.
  [[nodiscard]] KeySet const* keys_of(std::string const& role) const;
};

[[nodiscard]] Result<Root> decode_root(Signed const& file);
[[nodiscard]] Result<Timestamp> decode_timestamp(Signed const& file);
[[nodiscard]] Result<Snapshot> decode_snapshot(Signed const& file);
[[nodiscard]] Result<Targets> decode_targets(Signed const& file);

}  // namespace fleet::trust
