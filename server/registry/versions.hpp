#pragma once

#include "server/registry/selector.hpp"
#include "server/store/db/db.hpp"

#include <string>
#include <string_view>

/// What `M@WORD` means: a version, an alias of the model, or `latest`. No word is two of these: catalog/models and catalog/releases see to that.
namespace fleet::registry {

/// The highest approved counter of a model; no version and no alias is called so.
inline constexpr std::string_view kLatest = "latest";

/// The version that the word names now; the word itself where nothing of the model has that name, so that whoever looks for it says so.
[[nodiscard]] Result<std::string> version_named(db::Connection& reader, std::string_view model, std::string_view word);
/// The same of `MODEL@WORD`; other text stays as it is.
[[nodiscard]] Result<std::string> release_named(db::Connection& reader, std::string_view release);
/// Versions in place of aliases in its conditions on `running`.
[[nodiscard]] Result<Selector> with_versions(db::Connection& reader, Selector selector);

/// Whether each `M@V` in its conditions on `running` is a release that was published: of what is kept, a slip would widen or empty a target in silence.
/// @errors bad_input (unknown_version)
[[nodiscard]] Result<void> check_versions(db::Connection& reader, Selector const& selector);

}  // namespace fleet::registry
