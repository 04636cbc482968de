#pragma once

#include "core/base/bytes.hpp"
#include "server/blobs/store/paths.hpp"
#include "server/store/db/db.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Who reads which bytes. Digests are no secret, metadata lists them; what they are of is.
namespace fleet::blobs {

/// Whether a caller of the API may read a blob, and so name it in a release: one of a release of its model, or one that it uploaded itself.
/// @param model  that it is limited to; empty: any
[[nodiscard]] Result<bool> may_read(db::Connection& reader, Digest const& sha256, std::string_view actor, std::string_view model);
/// A device reads what the variants of its hardware name in releases that a directive named to it; a cache what releases of its models have.
[[nodiscard]] Result<bool> may_device_read(db::Connection& reader, Digest const& sha256, std::int64_t device_n);
/// The models whose objects a cache reads, none: all. Nothing: it is a device. @errors corrupt
[[nodiscard]] Result<std::optional<std::vector<std::string>>> cached_models(db::Connection& reader, std::int64_t device_n);
/// What its bytes are called in the store; nothing: there is none.
[[nodiscard]] Result<std::optional<Name>> find_name(db::Connection& reader, Digest const& sha256);
/// Also where it is there, for somebody else.
[[nodiscard]] Error unknown_blob(Digest const& sha256);

}  // namespace fleet::blobs
