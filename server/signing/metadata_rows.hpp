#pragma once

#include "core/trust/compose.hpp"
#include "core/trust/metadata.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Rows of `metadata`, and what they are made of: shared with the ceremonies.
namespace fleet::signing {

inline constexpr std::chrono::hours kYear{365 * 24};
/// The role of the directive repository's root, which is `root` there.
inline constexpr char kDirectiveRoot[] = "directive-root";
/// What that root says of itself (trust::Root::repository).
inline constexpr char kDirectiveRepository[] = "directive";

/// Versions go up by one, and after a restore jump to the clock (docs/protocol.md, Restore).
enum class Step { by_one, to_clock };

struct Signing {
  store::Tx& tx;
  KeyRing& keys;
  SysTime now;
  Step step = Step::by_one;
};

/// The one path pattern of a model's role, and the path of one release in it.
[[nodiscard]] std::string model_paths(std::string_view model);
[[nodiscard]] std::string release_path(std::string_view model, std::string_view version);
/// 0: there is none.
Result<std::int64_t> version_of(db::Connection& reader, std::string_view repository, std::string_view role);
Result<std::int64_t> next_version(Signing const& signing, std::string_view role);
Result<void> save(Signing const& signing, std::string_view repository, std::string_view role, std::int64_t version, std::string const& bytes);
/// A newest file of this server's own, which was judged before it was kept: its signatures are not asked for again.
Result<trust::Signed> newest_file(db::Connection& reader, std::string_view repository, std::string_view role);
[[nodiscard]] trust::RoleSpec spec_of(trust::KeySet const& set);
Result<std::vector<std::string>> model_names(db::Connection& reader);
/// The entry of a release in its model's role.
Result<trust::Target> target_of(std::string const& path, std::string const& document);
/// Snapshot over everything that is there, and the timestamp over it.
Result<void> sign_snapshot(Signing const& signing);
Result<void> sign_timestamp(Signing const& signing);

}  // namespace fleet::signing
