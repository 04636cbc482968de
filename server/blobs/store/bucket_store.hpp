#pragma once

#include "server/blobs/s3/bucket.hpp"
#include "server/blobs/store/blob_store.hpp"

namespace fleet::blobs {

/// What a store in a bucket works with.
struct BucketMeans {
  Fs& fs;
  Clock& clock;
  Random& random;
  std::string dir;                       ///< of this process alone: copies, and what is being put together
  std::uint64_t copies_max = 0;          ///< bytes
  std::string credentials_file = {};     ///< empty: the environment has them
  s3::Environment environment;
  std::unique_ptr<s3::Transport> transport;  ///< nullptr: libcurl
};
/// Blobs at `PREFIX/blobs/ab/abcdef....GENERATION`; pieces of uploads at `PREFIX/uploads/ID/OFFSET`, so that any node goes on with them.
/// @errors bad_input (`bad_credentials`, `no_credentials`), io
[[nodiscard]] Result<std::unique_ptr<BlobStore>> in_bucket(s3::Place const& place, BucketMeans means);

}  // namespace fleet::blobs
