#pragma once

#include "server/store/store.hpp"

#include <atomic>
#include <string>
#include <vector>

/// Which recipes there should be: for files of releases that devices are likely to be told of, from files that they run.
namespace fleet::routes {

/// Smaller files are not worth a request of their own; those of a protected release have no other way.
inline constexpr std::uint64_t kFileBytesMin = 8 * 1024;
/// Of a model, and beside those of live rollouts.
inline constexpr int kNewestReleases = 2;
/// Versions that devices run, those of the most devices first.
inline constexpr int kBasesMax = 4;
/// What nobody asked for as long goes.
inline constexpr std::chrono::hours kUnwantedAfter{7 * 24};

/// One that should be there.
struct WantedRecipe {
  Digest target, base;      ///< base zero: from nothing
  std::int64_t sealed = 0;  ///< the release with whose key it is encrypted: a protected one; 0: with none
  std::int64_t release = 0, variant = 0;
  std::optional<std::int64_t> base_release, base_variant;
  std::int64_t devices = 0;  ///< that run the base
  bool urgent = false;       ///< a rollout is to bring it
  /// There is no other way: the file does not travel as it is.
  [[nodiscard]] bool is_needed() const { return sealed != 0 && base == Digest{}; }
};

/// Walks through models and their releases. Long: on a thread of its own.
[[nodiscard]] Result<std::vector<WantedRecipe>> find_wanted(db::Connection& reader, std::atomic<bool> const& stop);
/// Of one release, for whatever variants it has. For tests, too.
[[nodiscard]] Result<std::vector<WantedRecipe>> wanted_of(db::Connection& reader, std::int64_t release, bool urgent);
/// Notes them, some a transaction: what is there already is only asked for again.
[[nodiscard]] Result<void> note_wanted(store::Store& store, std::vector<WantedRecipe> const& wanted, SysTime now);
/// Recipes to give up, a few: of what is revoked, or nobody asked for in a week.
[[nodiscard]] Result<std::vector<std::int64_t>> find_unwanted(db::Connection& reader, SysTime now);

}  // namespace fleet::routes
