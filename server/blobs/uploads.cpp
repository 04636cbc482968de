#include "server/blobs/queries.hpp"
#include "server/blobs/readers.hpp"
#include "server/blobs/uploads.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"
#include "server/blobs/arrival.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <mutex>
#include <set>

namespace fleet::blobs {
namespace {

constexpr auto kForgottenAfter = std::chrono::hours{7 * 24};
constexpr std::int64_t kOpenMax = 64;                               // of one identity
constexpr std::uint64_t kAnnouncedMax = std::uint64_t{1} << 40;      // bytes that its open uploads still lack

/// One request at a time works on an upload: a late piece must not write into a file whose digest was computed already.
class Claim {
public:
  [[nodiscard]] static Result<Claim> take(std::string_view id) {
    std::string key(id);
    std::lock_guard const lock(mutex_);
    if (!claimed_.insert(key).second)
      return Error{Kind::unavailable, "upload_busy", fmt::format("another request works on upload {}", id), "wait for its answer, then ask for Upload-Offset"};
    return Claim(std::move(key));
  }
  Claim(Claim&& other) noexcept : key_(std::exchange(other.key_, {})) {}
  Claim& operator=(Claim&&) = delete;
  ~Claim() {
    if (key_.empty()) return;
    std::lock_guard const lock(mutex_);
    claimed_.erase(key_);
  }

private:
  explicit Claim(std::string key) : key_(std::move(key)) {}
  std::string key_;
  // Of this process: two nodes at one upload lose nothing but its digest, which is recomputed, and the upload with it.
  inline static std::mutex mutex_;
  inline static std::set<std::string> claimed_;
};

Upload read_row(db::Statement const& row) {
  return {row.text(0), row.digest(1), static_cast<std::uint64_t>(row.int64(2)), static_cast<std::uint64_t>(row.int64(3)), row.text(4) == "done", row.text(5)};
}

Result<std::optional<std::uint64_t>> size_of_blob(db::Connection& reader, Digest const& sha256) {
  auto blob = reader.prepare(kGetBlob);
  FLEET_TRY(bool const found, blob.bind(1, sha256).step());
  return found ? std::optional(static_cast<std::uint64_t>(blob.int64(0))) : std::nullopt;
}

Result<void> set_received(store::Store& store, Upload const& upload, SysTime now) {
  auto const received = static_cast<std::int64_t>(upload.received);
  return store.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return tx.prepare(kSetReceived).bind_all(upload.id, received, to_unix_ms(now)).run(); });
}

/// The bytes go before the row: bytes without a row are found by nobody, a row without bytes is dropped again.
Result<void> drop(UploadContext const& context, std::string const& id, std::uint64_t received) {
  FLEET_CHECK(context.blobs.drop_upload(id, received));
  return context.store.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return tx.prepare(kDeleteUpload).bind(1, id).run(); });
}

/// What nobody went on with; a few at a time.
Result<void> drop_forgotten(UploadContext const& context, SysTime now) {
  std::vector<std::pair<std::string, std::uint64_t>> forgotten;
  {
    auto rows = context.store.reader().prepare(kForgottenUploads);
    rows.bind(1, to_unix_ms(now - kForgottenAfter));
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      forgotten.emplace_back(rows.text(0), static_cast<std::uint64_t>(rows.int64(1)));
    }
  }
  for (auto const& [id, received] : forgotten) {
    auto const claim = Claim::take(id);
    if (claim) FLEET_CHECK(drop(context, id, received));
  }
  return {};
}

/// What is announced must have a place: uploads fill neither the disk nor the list of what is open.
Result<void> check_room(UploadContext const& context, std::uint64_t size, std::string const& actor) {
  auto open = context.store.reader().prepare(kOpenUploads);
  FLEET_CHECK(open.bind(1, actor).step());
  if (open.int64(0) >= kOpenMax)
    return Error{Kind::throttled, "over_quota", fmt::format("{} has {} open uploads, at most {} are kept", actor, open.int64(0), kOpenMax),
                 "finish them, or wait: what no bytes came for in a week is dropped"};
  if (auto const announced = static_cast<std::uint64_t>(open.int64(1)); size > kAnnouncedMax - std::min(announced, kAnnouncedMax))
    return Error{Kind::throttled, "over_quota", fmt::format("{} has announced {} bytes more, with these it were over {}", actor, announced, kAnnouncedMax),
                 "finish the open uploads first"};
  return context.blobs.check_room(size);
}

/// Where the bytes of an upload lie: a process that ended between the move and its row left them among the blobs.
Result<LocalFile> find_bytes(UploadContext const& context, Upload const& upload) {
  auto gathered = context.blobs.gather(upload.id, upload.size);
  if (gathered || gathered.error().kind != Kind::not_found) return gathered;
  if (!context.blobs.is_shared()) {
    auto kept = context.blobs.fetch({upload.sha256, upload.size});
    if (kept || kept.error().kind != Kind::corrupt) return kept;
  }
  return Error{Kind::corrupt, "upload_lost", fmt::format("the bytes of upload {} are gone", upload.id), "start a new one with POST /api/v1/uploads"};
}

}  // namespace

std::string upload_json(Upload const& upload) {
  return boost::json::serialize(boost::json::object{
      {"id", upload.id}, {"sha256", upload.sha256.hex()}, {"size", upload.size}, {"offset", upload.received}, {"state", upload.done ? "done" : "open"}});
}

Result<Upload> load_upload(db::Connection& reader, std::string_view id) {
  auto row = reader.prepare(kGetUpload);
  FLEET_TRY(bool const found, row.bind(1, id).step());
  if (!found) return unknown_upload(id);
  return read_row(row);
}

Error unknown_upload(std::string_view id) {
  return {Kind::not_found, "unknown_upload", fmt::format("there is no upload '{}'", id.substr(0, 64)), "start a new one with POST /api/v1/uploads"};
}

Result<Upload> begin_upload(UploadContext const& context, Digest const& sha256, std::uint64_t size, std::string const& actor, std::string const& model,
                            SysTime now) {
  if (size > kBlobBytesMax) return Error{Kind::too_large, "too_large", fmt::format("{} bytes, at most {} are taken", size, kBlobBytesMax)};
  auto& reader = context.store.reader();
  // Whoever may not name it sends its bytes, like one of which nothing is known.
  FLEET_TRY(bool const nameable, may_read(reader, sha256, actor, model));
  std::optional<std::uint64_t> known;
  if (nameable) {
    FLEET_TRY(known, size_of_blob(reader, sha256));
  }
  if (known && *known != size)
    return Error{Kind::unprocessable, "size_mismatch", fmt::format("blob {} has {} bytes, the upload announces {}", sha256.hex(), *known, size),
                 "compute size and digest of the same file"};
  if (known) return Upload{sha256.hex(), sha256, size, size, true, actor};
  FLEET_CHECK(drop_forgotten(context, now));
  {
    auto open = reader.prepare(kOpenUploadOf);
    FLEET_TRY(bool const found, open.bind_all(sha256, static_cast<std::int64_t>(size), actor).step());
    if (found) return read_row(open);
  }
  FLEET_CHECK(check_room(context, size, actor));
  Upload upload{make_ulid("up_", to_unix_ms(now), context.random), sha256, size, 0, false, actor};
  FLEET_CHECK(context.blobs.begin_upload(upload.id));
  FLEET_CHECK(context.store.write_wait(
      store::Lane::verbs, [&](store::Tx& tx) { return tx.prepare(kInsertUpload).bind_all(upload.id, sha256, static_cast<std::int64_t>(size), actor, to_unix_ms(now)).run(); }));
  return upload;
}

Result<Upload> append_piece(UploadContext const& context, std::string_view id, std::uint64_t offset, BytesView piece, SysTime now) {
  FLEET_TRY(auto const claim, Claim::take(id));
  FLEET_TRY(auto upload, load_upload(context.store.reader(), id));
  if (upload.done || offset != upload.received)
    return Error{Kind::conflict, "wrong_offset", fmt::format("upload {} has {} bytes, the piece starts at {}", id, upload.received, offset),
                 "go on from Upload-Offset"};
  if (piece.size() > upload.size - upload.received)
    return Error{Kind::too_large, "too_long",
                 fmt::format("upload {} was announced with {} bytes, this piece ends at {}", id, upload.size, offset + piece.size())};
  FLEET_CHECK(context.blobs.check_room(piece.size()));
  FLEET_CHECK(context.blobs.append(id, offset, piece));
  upload.received += piece.size();
  FLEET_CHECK(set_received(context.store, upload, now));
  return upload;
}

Result<Upload> finish_upload(UploadContext const& context, std::string_view id, SysTime now) {
  FLEET_TRY(auto const claim, Claim::take(id));
  FLEET_TRY(auto upload, load_upload(context.store.reader(), id));
  if (upload.done) return upload;
  if (upload.received != upload.size)
    return Error{Kind::conflict, "incomplete", fmt::format("upload {} has {} of {} bytes", id, upload.received, upload.size), "send the rest first"};
  auto const bytes = find_bytes(context, upload);
  if (!bytes) {
    if (bytes.error().code == "upload_lost") FLEET_CHECK(drop(context, upload.id, upload.received));
    return bytes.error();
  }
  FLEET_TRY(auto const found, crypto::sha256_file(context.fs, bytes->path));
  if (found.sha256 != upload.sha256 || found.size != upload.size) {
    FLEET_CHECK(drop(context, upload.id, upload.received));
    return Error{Kind::unprocessable, "digest_mismatch",
                 fmt::format("upload {}: expected {} ({} bytes), got {} ({} bytes)", id, upload.sha256.hex(), upload.size, found.sha256.hex(), found.size),
                 "the upload was dropped: send the file again"};
  }
  FLEET_TRY(auto const names, announce(context, {{upload.sha256, upload.size}}, now));
  FLEET_CHECK(context.blobs.keep(names.front(), upload.id));
  auto const job = [&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(name_blob(tx, names.front(), now));
    return tx.prepare(kFinishUpload).bind(1, upload.id).run();
  };
  FLEET_CHECK(context.store.write_wait(store::Lane::verbs, job));
  upload.done = true;
  // Pieces that stay behind cost room, and nothing else.
  if (context.blobs.is_shared())
    if (auto const dropped = context.blobs.drop_upload(upload.id, upload.received); !dropped) log::warn("uploads.pieces_stay", {{"id", upload.id}, {"detail", dropped.error().detail}});
  return upload;
}

}  // namespace fleet::blobs
