#pragma once

#include "core/base/random.hpp"
#include "server/blobs/store/blob_store.hpp"

namespace fleet::blobs {

/// What a store is opened with; the parts outlive it.
struct OpenMeans {
  Fs& fs;
  Clock& clock;
  Random& random;
  std::string const& data_dir;
  std::string scratch;                 ///< a folder of this process alone, for copies of what is elsewhere
  std::uint64_t copies_max = 0;        ///< bytes
  std::string credentials_file = {};   ///< empty: the environment has them
};

/// @param url  s3://..., file:///FOLDER or /FOLDER; empty: DIR/blobs. @errors bad_input (`bad_blobs`); never quotes a credential
[[nodiscard]] Result<void> check_url(std::string_view url);
/// Nothing is asked of it yet. @errors bad_input (`bad_blobs`, `bad_credentials`, `no_credentials`), io
[[nodiscard]] Result<std::unique_ptr<BlobStore>> open(std::string_view url, OpenMeans const& means);

}  // namespace fleet::blobs
