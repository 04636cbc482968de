#include "server/blobs/garbage.hpp"

#include "core/base/log.hpp"
#include "server/blobs/queries.hpp"

#include <mutex>
#include <set>

namespace fleet::blobs {
namespace {

using std::chrono::hours;

constexpr hours kGrace{7 * 24};  ///< from when a blob came, and while its upload is remembered
constexpr hours kRest{24};       ///< between a row's end and its file's: longer than a backup takes
constexpr std::int64_t kLookedAt = 500;
constexpr std::int64_t kRemoved = 8;  ///< files in a step: the writer waits for them

std::mutex& held_mutex() {
  static std::mutex mutex;
  return mutex;
}
std::multiset<Digest>& held_digests() {
  static std::multiset<Digest> digests;
  return digests;
}

struct Old {
  Digest sha256;
  std::int64_t size = 0;
  std::string generation = {};
};

Result<bool> is_named(store::Tx& tx, Digest const& sha256) {
  auto named = tx.prepare(kIsNamed);
  return named.bind(1, sha256).step();
}

/// Rows of blobs, by digest, of which nobody speaks. @returns whether the end was reached
Result<bool> note_removals(store::Tx& tx, Digest& after, SysTime now) {
  std::vector<Old> looked_at;
  std::vector<bool> old;
  {
    auto rows = tx.prepare(kBlobsAfter);
    rows.bind_all(after, kLookedAt);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      looked_at.push_back({rows.digest(0), rows.int64(1), rows.text(3)});
      old.push_back(rows.int64(2) <= to_unix_ms(now - kGrace));
    }
  }
  for (std::size_t i = 0; i < looked_at.size(); ++i) {
    auto const& blob = looked_at[i];
    after = blob.sha256;
    if (!old[i]) continue;
    FLEET_TRY(bool const seems_named, is_named(tx, blob.sha256));
    if (seems_named) continue;
    // Whoever names it holds it while he does: after him it is looked at once more, in a statement that sees what he wrote.
    FLEET_TRY(auto const held, tx.prepare(kHoldBlob).bind(1, blob.sha256).affected());
    FLEET_TRY(bool const named, is_named(tx, blob.sha256));
    if (named || held == 0) continue;
    FLEET_CHECK(tx.prepare(kDeleteBlob).bind(1, blob.sha256).run());
    FLEET_CHECK(blob.generation.empty() ? tx.prepare(kNoteRemoval).bind_all(blob.sha256, blob.size, to_unix_ms(now)).run()
                                        : tx.prepare(kNoteLeftover).bind_all(blob.sha256, blob.generation, blob.size, to_unix_ms(now)).run());
  }
  bool const ended = std::ssize(looked_at) < kLookedAt;
  if (ended) after = {};
  return ended;
}

Result<void> count(store::Tx& tx, std::int64_t removed, std::int64_t bytes) {
  if (removed == 0) return {};
  FLEET_CHECK(tx.prepare(kAddToTotal).bind_all("blobs", removed).run());
  FLEET_CHECK(tx.prepare(kAddToTotal).bind_all("bytes", bytes).run());
  log::info("blobs.given_back", {{"blobs", removed}, {"bytes", bytes}});
  return {};
}

/// A file without a row is found by nobody; a note without a file, after a cut, goes the next time. Here the file goes first.
Result<bool> remove_noted(store::Tx& tx, BlobStore& blobs, SysTime now) {
  std::vector<Old> due;
  {
    auto rows = tx.prepare(kRemovalsDue);
    rows.bind_all(to_unix_ms(now - kRest), kRemoved);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      due.push_back({rows.digest(0), rows.int64(1)});
    }
  }
  std::int64_t removed = 0, bytes = 0;
  for (auto const& one : due) {
    bool back = false;
    {
      auto blob = tx.prepare(kGetBlob);
      FLEET_TRY(back, blob.bind(1, one.sha256).step());
    }
    FLEET_TRY(bool const named, is_named(tx, one.sha256));
    if (!back && (named || Held::is_held(one.sha256))) {  // somebody is bringing it just now: looked at again a day later
      FLEET_CHECK(tx.prepare(kNoteRemoval).bind_all(one.sha256, one.size, to_unix_ms(now)).run());
      continue;
    }
    if (!back) {
      FLEET_TRY(bool const gone, blobs.remove({one.sha256, static_cast<std::uint64_t>(one.size)}));
      removed += gone ? 1 : 0;
      bytes += gone ? one.size : 0;
    }
    FLEET_CHECK(tx.prepare(kForgetRemoval).bind(1, one.sha256).run());
  }
  FLEET_CHECK(count(tx, removed, bytes));
  return std::ssize(due) == kRemoved;
}

/// Files of uploads that have no row, after a cut: what is on its way to one is younger.
Result<void> remove_strays(store::Tx& tx, BlobStore& blobs, SysTime now) {
  FLEET_TRY(auto const arriving, blobs.arriving());
  for (auto const& one : arriving) {
    auto upload = tx.prepare(kGetUpload);
    FLEET_TRY(bool const known, upload.bind(1, one.id).step());
    if (known || one.touched > now - kGrace) continue;
    FLEET_CHECK(blobs.drop_upload(one.id, 0));
    log::info("uploads.stray_removed", {{"id", one.id}, {"bytes", one.bytes}});
  }
  return {};
}

}  // namespace

Held::Held(std::vector<Digest> digests) : digests_(std::move(digests)) {
  std::lock_guard const lock(held_mutex());
  held_digests().insert(digests_.begin(), digests_.end());
}

Held::~Held() {
  std::lock_guard const lock(held_mutex());
  for (auto const& one : digests_) held_digests().erase(held_digests().find(one));
}

bool Held::is_held(Digest const& sha256) {
  std::lock_guard const lock(held_mutex());
  return held_digests().contains(sha256);
}

Result<Collection> collect_garbage(store::Tx& tx, BlobStore& blobs, Digest const& after, SysTime now) {
  Collection out{after};
  if (after == Digest{}) FLEET_CHECK(remove_strays(tx, blobs, now));
  FLEET_TRY(auto const forgotten, tx.prepare(kForgetDone).bind_all(to_unix_ms(now - kGrace), kLookedAt).affected());
  bool const more_uploads = forgotten == kLookedAt;
  FLEET_TRY(bool const ended, note_removals(tx, out.after, now));
  FLEET_TRY(bool const more_files, blobs.is_shared() ? Result<bool>(false) : remove_noted(tx, blobs, now));
  FLEET_CHECK(tx.prepare(kDoomLeftovers).bind(1, to_unix_ms(now - kRest)).run());
  out.more = more_uploads || !ended || more_files;
  return out;
}

Result<bool> remove_doomed(store::Store& store, BlobStore& blobs) {
  std::vector<Name> doomed;
  {
    auto rows = store.reader().prepare(kDoomedLeftovers);
    rows.bind(1, kRemoved);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      doomed.push_back({rows.digest(0), static_cast<std::uint64_t>(rows.int64(2)), rows.text(1)});
    }
  }
  if (doomed.empty()) return false;
  std::int64_t bytes = 0;
  for (auto const& name : doomed) {
    FLEET_CHECK(blobs.remove(name));
    bytes += static_cast<std::int64_t>(name.size);
  }
  auto const job = [&](store::Tx& tx) -> Result<void> {
    for (auto const& name : doomed) FLEET_CHECK(tx.prepare(kForgetLeftover).bind_all(name.sha256, name.generation).run());
    return count(tx, std::ssize(doomed), bytes);
  };
  FLEET_CHECK(store.write_wait(store::Lane::upkeep, job));
  return std::ssize(doomed) == kRemoved;
}

Result<GivenBack> given_back(db::Connection& reader) {
  GivenBack out;
  for (auto const& [name, value] : {std::pair{"blobs", &out.blobs}, std::pair{"bytes", &out.bytes}}) {
    auto row = reader.prepare(kTotal);
    FLEET_TRY(bool const found, row.bind(1, name).step());
    if (found) *value = row.int64(0);
  }
  auto waiting = reader.prepare(kRemovalBytes);
  FLEET_CHECK(waiting.step());
  auto left = reader.prepare(kLeftoverBytes);
  FLEET_CHECK(left.step());
  out.waiting_bytes = waiting.int64(0) + left.int64(0);
  return out;
}

}  // namespace fleet::blobs
