#include "server/blobs/arrival.hpp"
#include "server/blobs/batch.hpp"

#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "server/blobs/garbage.hpp"
#include "server/blobs/readers.hpp"
#include "server/blobs/queries.hpp"

#include <fmt/format.h>

#include <set>

namespace fleet::blobs {
namespace {

Error bad_batch(std::string detail) { return {Kind::bad_input, "bad_batch", std::move(detail), "one line of JSON that lists the files, then their bytes in its order"}; }

/// The bytes of each, as their digests have them.
Result<std::vector<NewBlob>> split(std::vector<SmallFile> const& files, std::string_view bytes) {
  std::vector<NewBlob> out;
  for (auto const& file : files) {
    auto const own = bytes.substr(0, file.size);
    bytes.remove_prefix(file.size);
    auto const digest = crypto::sha256(own);
    if (digest != file.sha256)
      return Error{Kind::unprocessable, "digest_mismatch", fmt::format("a file of {} bytes: expected {}, got {}", file.size, file.sha256.hex(), digest.hex()),
                   "nothing of this batch was kept: hash and send the files again"};
    out.push_back({{digest, file.size}, own});
  }
  return out;
}

/// A shared store has each name once: what is there already is not brought again.
Result<std::vector<NewBlob>> wanting(UploadContext const& context, std::vector<NewBlob> const& blobs) {
  if (!context.blobs.is_shared()) return blobs;
  std::vector<NewBlob> out;
  std::set<Digest> seen;
  for (auto const& blob : blobs) {
    auto row = context.store.reader().prepare(kGetBlob);
    FLEET_TRY(bool const there, row.bind(1, blob.name.sha256).step());
    if (!there && seen.insert(blob.name.sha256).second) out.push_back(blob);
  }
  return out;
}

Result<std::vector<NewBlob>> bring(UploadContext const& context, std::vector<NewBlob> blobs, SysTime now) {
  std::vector<Name> names;
  for (auto const& blob : blobs) names.push_back(blob.name);
  FLEET_TRY(names, announce(context, names, now));
  for (std::size_t i = 0; i < blobs.size(); ++i) blobs[i].name = names[i];
  FLEET_CHECK(context.blobs.put(blobs));
  return blobs;
}

}  // namespace

Result<std::vector<SmallFile>> decode_files(std::string_view text, std::size_t max) {
  FLEET_TRY(auto const value, wire::parse_json(text, kFileListBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  std::vector<SmallFile> out;
  auto const* const list = reader.array("files", max);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    wire::ObjectReader one((*list)[i], fmt::format("/files/{}", i), faults);
    SmallFile file;
    auto const digest = Digest::parse(one.required_text("sha256", 64));
    if (digest) file.sha256 = *digest;
    else one.fault("sha256", "expected 64 hex characters, lower case");
    file.size = static_cast<std::uint64_t>(one.required_integer("size", 0, static_cast<std::int64_t>(kBlobBytesMax)));
    one.refuse_unknown();
    out.push_back(file);
  }
  if (list == nullptr) reader.fault("files", "is required");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "files"));
  return out;
}

Result<std::vector<Digest>> missing_blobs(db::Connection& reader, std::vector<SmallFile> const& files, std::string const& actor, std::string const& model) {
  std::vector<Digest> out;
  for (auto const& file : files) {
    auto blob = reader.prepare(kGetBlob);
    FLEET_TRY(bool const known, blob.bind(1, file.sha256).step());
    FLEET_TRY(bool const nameable, may_read(reader, file.sha256, actor, model));
    if (!known || !nameable) out.push_back(file.sha256);
    else if (auto const size = static_cast<std::uint64_t>(blob.int64(0)); size != file.size)
      return Error{Kind::unprocessable, "size_mismatch", fmt::format("blob {} has {} bytes, not {}", file.sha256.hex(), size, file.size),
                   "compute size and digest of the same file"};
  }
  return out;
}

Result<std::size_t> store_batch(UploadContext const& context, std::string_view body, std::string const& actor, std::string const& model, SysTime now) {
  auto const end = body.find('\n');
  if (end == std::string_view::npos) return bad_batch("there is no line");
  FLEET_TRY(auto const files, decode_files(body.substr(0, end), kBatchFilesMax));
  body.remove_prefix(end + 1);
  std::uint64_t announced = 0;
  for (auto const& file : files) {
    if (file.size > body.size()) return bad_batch(fmt::format("a file of {} bytes in a batch of {}", file.size, body.size()));
    announced += file.size;
  }
  if (announced != body.size()) return bad_batch(fmt::format("{} bytes are listed, {} came", announced, body.size()));
  if (files.empty()) return std::size_t{0};
  std::vector<Digest> digests;
  for (auto const& file : files) digests.push_back(file.sha256);
  Held const held(std::move(digests));
  FLEET_TRY(auto const all, split(files, body));
  FLEET_TRY(auto const wanted, wanting(context, all));
  FLEET_TRY(auto const brought, bring(context, wanted, now));
  auto const job = [&](store::Tx& tx) -> Result<void> {
    for (auto const& blob : brought) FLEET_CHECK(name_blob(tx, blob.name, now));
    for (auto const& file : files) {
      FLEET_TRY(auto const there, tx.prepare(kHoldBlob).bind(1, file.sha256).affected());
      if (there == 0) return Error{Kind::unavailable, "blob_late", fmt::format("blob {} went in this moment, since nothing named it", file.sha256.hex()), "send the batch again"};
      // By this its sender may name a file that no release has yet.
      FLEET_TRY(bool const nameable, may_read(tx.connection(), file.sha256, actor, model));
      auto const size = static_cast<std::int64_t>(file.size);
      if (!nameable)
        FLEET_CHECK(tx.prepare(kInsertDone).bind_all(make_ulid("up_", to_unix_ms(now), context.random), file.sha256, size, actor, to_unix_ms(now)).run());
    }
    return {};
  };
  FLEET_CHECK(context.store.write_wait(store::Lane::verbs, job));
  return files.size();
}

}  // namespace fleet::blobs
