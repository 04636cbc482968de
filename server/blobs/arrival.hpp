#pragma once

#include "server/blobs/uploads.hpp"

#include <vector>

/// How bytes get from a store's keeping to a row that names them, so that whatever is cut, nothing lies there that no row knows of.
namespace fleet::blobs {

/// Before they are brought: names for them, each noted as a leftover where the store is shared. Writes: worker threads only.
[[nodiscard]] Result<std::vector<Name>> announce(UploadContext const& context, std::vector<Name> const& blobs, SysTime now);
/// Once they are there: the row. Where one is there already the bytes stay a leftover. @returns whether this name is the one that counts
/// @errors unavailable (`blob_late`: they are being removed again; it took a day)
[[nodiscard]] Result<bool> name_blob(store::Tx& tx, Name const& name, SysTime now);

}  // namespace fleet::blobs
