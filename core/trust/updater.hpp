#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "core/trust/key_set.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace fleet::trust {

/// Where metadata comes from. `not_found` ends a chain of roots; every other error stops the refresh.
class Fetcher {
public:
  virtual ~Fetcher() = default;
  /// Bytes of a metadata file by its name in the repository (`3.root.json`, `timestamp.json`), at most `limit_bytes`:
  /// more is `too_large`, never cut.
  virtual Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) = 0;
};

/// Where received metadata is kept between refreshes, by role name (already safe as a file name: percent-encoded).
/// `save` is durable before it returns.
class MetadataStore {
public:
  virtual ~MetadataStore() = default;
  virtual Result<std::optional<Bytes>> load(std::string const& role) = 0;
  virtual Result<void> save(std::string const& role, BytesView bytes) = 0;
  virtual Result<void> remove(std::string const& role) = 0;
};

/// A verified entry of a targets role.
struct Target {
  std::string path;
  std::uint64_t length = 0;
  std::map<std::string, std::string> hashes;  ///< algorithm -> hex; never empty
  std::string custom;                         ///< JSON text of `custom`, or empty
  /// The sha256 entry. @errors bad_input when there is none
  [[nodiscard]] Result<Digest> sha256() const;
};

struct Limits {
  std::uint64_t root_bytes = 512'000;
  std::uint64_t timestamp_bytes = 16'384;
  std::uint64_t snapshot_bytes = 2'000'000;
  std::uint64_t targets_bytes = 5'000'000;
  int root_rotations = 256;
  int delegations = 32;
};

/// The client workflow of TUF 1.0.34, section 5, over a fetcher and a store. Does no other I/O and reads no clock.
class Updater {
public:
  /// Loads the trusted root from `store` (saved there by `init`), verifies its own signatures, ignores its expiry.
  /// @param start  the time at which everything is judged; fixed for this updater
  /// @param fresh_at  off-spec, for metadata that travels by file: when timestamp and snapshot had to be unexpired, in place of `start`
  static Result<Updater> load(MetadataStore& store, Fetcher& fetcher, SysTime start, Limits const& limits = {}, std::optional<SysTime> fresh_at = {});
  /// Makes `root` the first trusted root of an empty store.
  static Result<void> init(MetadataStore& store, BytesView root);

  Updater(Updater&&) noexcept;
  Updater& operator=(Updater&&) noexcept;
  ~Updater();

  /// Root chain, timestamp, snapshot, top-level targets.
  /// @errors signature, expired, bad_input, conflict (code `rollback`), and what the fetcher says
  Result<void> refresh();
  /// Root chain only: for the directive root, whose online roles are used directly.
  Result<void> refresh_root();
  /// Depth first through the delegations; loads the delegated roles it needs. Call after `refresh`.
  /// @returns nothing when no trusted role names the path
  /// @errors internal (no refresh succeeded), and those of refresh for the roles it loads
  Result<std::optional<Target>> find(std::string const& path);

  /// Keys and threshold of a top-level role of the trusted root: what a directive's envelope is verified with.
  [[nodiscard]] KeySet role_keys(std::string const& role) const;
  [[nodiscard]] std::int64_t root_version() const;
  [[nodiscard]] SysTime root_expires() const;
  /// Whether targets are fetched by their hash (TUF 1.0.34, 7.3).
  [[nodiscard]] bool consistent_snapshot() const;

private:
  struct State;
  explicit Updater(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Checks length and every known hash. @errors signature (code `digest_mismatch`, `length_mismatch`)
[[nodiscard]] Result<void> verify_target(Target const& target, BytesView bytes);

}  // namespace fleet::trust
