#include "agent/delivery/copy_file.hpp"

#include "agent/delivery/file_fetch.hpp"
#include "core/crypto/hash.hpp"

#include <algorithm>

namespace fleet::agent {

Result<bool> copy_verified(Fs& fs, ReadAt const& read, wire::ReleaseFile const& file, std::string const& path, std::atomic<bool> const& stop) {
  FLEET_TRY(auto const target, fs.open(path, Fs::Mode::append_or_create));
  FLEET_CHECK(target->truncate(0));
  crypto::Sha256 hash;
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(file.size, kPieceBytes)));
  for (std::uint64_t at = 0, synced = 0; at < file.size;) {
    if (stop) return interrupted();
    if (at - synced >= kSyncEvery) {
      FLEET_CHECK(target->sync());
      synced = at;
    }
    std::span<std::uint8_t> const room(buffer.data(), static_cast<std::size_t>(std::min<std::uint64_t>(file.size - at, buffer.size())));
    FLEET_TRY(auto const n, read(at, room));
    if (n == 0) break;
    auto const piece = BytesView(buffer).first(n);
    FLEET_CHECK(target->write_at(at, piece));
    hash.update(piece);
    at += n;
  }
  if (hash.finish() == file.sha256) return true;
  FLEET_CHECK(target->truncate(0));
  return false;
}

}  // namespace fleet::agent
