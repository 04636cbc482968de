#include "server/cost/stored.hpp"

#include "server/blobs/garbage.hpp"
#include "server/cost/queries.hpp"

namespace fleet::cost {
namespace {

Result<Stored> tally(db::Connection& reader, db::Query const& query, Owners const& owners) {
  Tally out(owners);
  auto rows = reader.prepare(query);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out.take();
    out.add(rows.digest(0), rows.int64(1), rows.int64(2));
  }
}

}  // namespace

void Tally::add(Digest const& sha256, std::int64_t size, std::int64_t release) {
  auto const owner = owners_.find(release);
  if (owner == owners_.end()) return;
  if (sha256 != now_) settle();
  now_ = sha256;
  size_ = size;
  models_.insert(owner->second.model);
  kept_ = kept_ || owner->second.kept;
}

void Tally::settle() {
  auto const count = [&](Sum& sum) {
    ++sum.files;
    sum.bytes += size_;
    if (!kept_) sum.gone_bytes += size_;
  };
  for (auto const& model : models_) count(out_.models[model]);
  if (!models_.empty()) count(out_.all);
  models_.clear();
  kept_ = false;
}

Stored Tally::take() {
  settle();
  return std::move(out_);
}

Result<Stored> files_stored(db::Connection& reader, Owners const& owners) { return tally(reader, kFilesHeld, owners); }

Result<Stored> content_stored(db::Connection& reader, Owners const& owners) { return tally(reader, kObjectsHeld, owners); }

Result<Store> store_held(db::Connection& reader) {
  Store out;
  auto blobs = reader.prepare(kBlobs);
  FLEET_CHECK(blobs.step());
  out.blobs = blobs.int64(0);
  out.blob_bytes = blobs.int64(1);
  auto uploads = reader.prepare(kOnTheirWay);
  FLEET_CHECK(uploads.step());
  out.uploading_bytes = uploads.int64(0);
  FLEET_TRY(auto const back, blobs::given_back(reader));
  out.leaving_bytes = back.waiting_bytes;
  return out;
}

}  // namespace fleet::cost
