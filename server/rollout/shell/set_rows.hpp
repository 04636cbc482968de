#pragma once

#include "core/wire/release.hpp"
#include "server/rollout/engine/snapshot.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Members of sets, as the catalog has them.
namespace fleet::rollout {

/// A release as what is reckoned of it sees it: of a set, all members as one (engine/sets.hpp), and the members themselves.
struct WholeRelease {
  wire::Release release;
  std::vector<wire::Release> members = {};
};
[[nodiscard]] Result<WholeRelease> load_whole(db::Connection& reader, std::int64_t release_n, std::string_view document);
/// As directives name them; none: the release is no set's.
[[nodiscard]] Result<std::vector<SetMember>> load_members(db::Connection& reader, std::int64_t release_n);
/// Digests of a model's revoked releases, the newest few: no place to go back to.
[[nodiscard]] Result<std::vector<std::string>> revoked_of(db::Connection& reader, std::string const& model);

}  // namespace fleet::rollout
