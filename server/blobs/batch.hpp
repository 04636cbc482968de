#pragma once

#include "server/blobs/uploads.hpp"

#include <string_view>
#include <vector>

/// Small files, many at once: a request each would cost more than their bytes.
namespace fleet::blobs {

inline constexpr std::size_t kFileListBytesMax = 2 * 1024 * 1024;
inline constexpr std::size_t kAskedAtOnceMax = 10'000;
inline constexpr std::size_t kBatchFilesMax = 256;

struct SmallFile {
  Digest sha256;
  std::uint64_t size = 0;
};
/// `{"files":[{"sha256","size"},...]}`. @errors bad_input
Result<std::vector<SmallFile>> decode_files(std::string_view json, std::size_t max);
/// Those of `files` whose bytes are to be sent. @errors unprocessable (code `size_mismatch`: a blob is there with another size)
Result<std::vector<Digest>> missing_blobs(db::Connection& reader, std::vector<SmallFile> const& files, std::string const& actor, std::string const& model);
/// Stores the files of a batch: one line of JSON (`decode_files`), then their bytes, one behind the other. All or none are known afterwards, each durable and
/// checked by its digest; storing them again changes nothing. Blocks: worker threads only.
/// @returns how many. @errors bad_input (`bad_batch`), unprocessable (`digest_mismatch`), unavailable (`disk_full`)
Result<std::size_t> store_batch(UploadContext const& context, std::string_view body, std::string const& actor, std::string const& model, SysTime now);

}  // namespace fleet::blobs
