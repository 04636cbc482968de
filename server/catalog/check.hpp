#pragma once

#include "core/base/fs.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/store/db/db.hpp"

#include <string>
#include <vector>

namespace fleet::catalog {

/// Every blob lies where it should with its size and digest; every release.json has its digest and its blobs; every metadata file is JSON
/// of its version; a client that begins with the first root believes both repositories and finds the releases that stand, and no other.
/// @returns what is wrong, empty when sound. @errors io
Result<std::vector<std::string>> check_catalog(db::Connection& reader, blobs::BlobStore& store);

}  // namespace fleet::catalog
