#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/store/store.hpp"

#include <string>

/// Files on their way in: resumable by offset, their digest recomputed before they become blobs.
namespace fleet::blobs {

inline constexpr std::uint64_t kPieceBytesMax = 4 * 1024 * 1024;
inline constexpr std::uint64_t kBlobBytesMax = std::uint64_t{1} << 40;

struct Upload {
  std::string id;
  Digest sha256;
  std::uint64_t size = 0;
  std::uint64_t received = 0;  ///< durable bytes
  bool done = false;
  std::string created_by;
};

[[nodiscard]] std::string upload_json(Upload const& upload);

/// What uploads work with; their functions block: worker threads only.
struct UploadContext {
  store::Store& store;
  Fs& fs;
  Random& random;
  BlobStore& blobs;
};

/// A new upload, the caller's own open one of the same digest, or a done one where the blob is there already, and the caller may read it (readers.hpp).
/// Drops what no bytes came for in a week. @param model  that the caller is limited to; empty: none. @errors too_large, unprocessable (code `size_mismatch`: the blob is there with another size)
Result<Upload> begin_upload(UploadContext const& context, Digest const& sha256, std::uint64_t size, std::string const& actor, std::string const& model,
                            SysTime now);
/// @errors not_found (code `unknown_upload`)
Result<Upload> load_upload(db::Connection& reader, std::string_view id);
/// Also where it is there, of somebody else.
[[nodiscard]] Error unknown_upload(std::string_view id);
/// Appends at `offset`, durable before it returns.
/// @errors conflict (code `wrong_offset`), too_large, unavailable (`disk_full`, `upload_busy`: another request is at it; of a store elsewhere its codes, here and below)
Result<Upload> append_piece(UploadContext const& context, std::string_view id, std::uint64_t offset, BytesView piece, SysTime now);
/// Recomputes the digest over what lies on the disk and moves it among the blobs.
/// @errors conflict (code `incomplete`), unprocessable (code `digest_mismatch`: the upload is dropped), corrupt (`upload_lost`: so is this one),
/// unavailable (`upload_busy`, `blob_late`: it took a day, send it again)
Result<Upload> finish_upload(UploadContext const& context, std::string_view id, SysTime now);

}  // namespace fleet::blobs
