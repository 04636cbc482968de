#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Which releases would stay if of each model only the newest were kept. An answer: the server deletes none.
namespace fleet::cost {

/// Why one stays; of several reasons the first.
enum class Why : std::uint8_t {
  newest,
  approved,  ///< the newest that is approved: what `latest` means
  running,   ///< on a device
  rollout,   ///< of a live rollout, of what its devices ran before, or of the newest that completed on its selector
  alias,
  bundle,    ///< of one that has not expired
  set,       ///< a member of a set that stays
};
inline constexpr auto kWhyNames = std::to_array<std::string_view>({"newest", "approved", "running", "rollout", "alias", "bundle", "set"});
[[nodiscard]] constexpr std::string_view to_string(Why why) { return kWhyNames[static_cast<std::size_t>(why)]; }

struct ReleaseRow {
  std::int64_t n = 0;
  std::string model, version, state;
};
/// All of them, the newest first.
[[nodiscard]] Result<std::vector<ReleaseRow>> list_release_rows(db::Connection& reader);
/// Of these, those that would stay. Reads the devices of live rollouts: not on an io thread.
/// @param newest  so many of each model, revoked ones not among them
[[nodiscard]] Result<std::map<std::int64_t, Why>> find_kept(db::Connection& reader, std::vector<ReleaseRow> const& releases, std::int64_t newest, SysTime now);

}  // namespace fleet::cost
