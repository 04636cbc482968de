#include "server/blobs/garbage.hpp"

#include "core/base/log.hpp"
#include "server/blobs/paths.hpp"
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
      looked_at.push_back({rows.digest(0), rows.int64(1)});
      old.push_back(rows.int64(2) <= to_unix_ms(now - kGrace));
    }
  }
  for (std::size_t i = 0; i < looked_at.size(); ++i) {
    auto const& blob = looked_at[i];
    after = blob.sha256;
    if (!old[i]) continue;
    FLEET_TRY(bool const named, is_named(tx, blob.sha256));
    if (named) continue;
    FLEET_CHECK(tx.prepare(kDeleteBlob).bind(1, blob.sha256).run());
    FLEET_CHECK(tx.prepare(kNoteRemoval).bind_all(blob.sha256, blob.size, to_unix_ms(now)).run());
  }
  bool const ended = std::ssize(looked_at) < kLookedAt;
  if (ended) after = {};
  return ended;
}

/// A file without a row is found by nobody; a note without a file, after a cut, goes the next time. Here the file goes first.
Result<bool> remove_noted(store::Tx& tx, Fs& fs, std::string const& data_dir, SysTime now) {
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
      auto const gone = fs.remove(blob_path(data_dir, one.sha256));
      if (!gone && gone.error().kind != Kind::not_found) return gone.error();
      removed += gone ? 1 : 0;
      bytes += gone ? one.size : 0;
    }
    FLEET_CHECK(tx.prepare(kForgetRemoval).bind(1, one.sha256).run());
  }
  if (removed > 0) {
    FLEET_CHECK(tx.prepare(kAddToTotal).bind_all("blobs", removed).run());
    FLEET_CHECK(tx.prepare(kAddToTotal).bind_all("bytes", bytes).run());
    log::info("blobs.given_back", {{"blobs", removed}, {"bytes", bytes}});
  }
  return std::ssize(due) == kRemoved;
}

/// Files of uploads that have no row, after a cut: what is on its way to one is younger.
Result<void> remove_strays(store::Tx& tx, Fs& fs, std::string const& data_dir, SysTime now) {
  auto const folder = data_dir + "/uploads";
  auto const names = fs.list(folder);
  if (!names && names.error().kind == Kind::not_found) return {};
  FLEET_CHECK(names);
  for (auto const& name : *names) {
    auto upload = tx.prepare(kGetUpload);
    FLEET_TRY(bool const known, upload.bind(1, name).step());
    auto const info = known ? Result<FileInfo>(Error{}) : fs.info(folder + "/" + name);
    if (!info || info->type != FileInfo::Type::file || info->identity.changed_ns / 1'000'000 > to_unix_ms(now - kGrace)) continue;
    auto const gone = fs.remove(folder + "/" + name);
    if (!gone && gone.error().kind != Kind::not_found) return gone;
    log::info("uploads.stray_removed", {{"id", name}, {"bytes", info->size}});
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

Result<Collection> collect_garbage(store::Tx& tx, Fs& fs, std::string const& data_dir, Digest const& after, SysTime now) {
  Collection out{after};
  if (after == Digest{}) FLEET_CHECK(remove_strays(tx, fs, data_dir, now));
  FLEET_TRY(auto const forgotten, tx.prepare(kForgetDone).bind_all(to_unix_ms(now - kGrace), kLookedAt).affected());
  bool const more_uploads = forgotten == kLookedAt;
  FLEET_TRY(bool const ended, note_removals(tx, out.after, now));
  FLEET_TRY(bool const more_files, remove_noted(tx, fs, data_dir, now));
  out.more = more_uploads || !ended || more_files;
  return out;
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
  out.waiting_bytes = waiting.int64(0);
  return out;
}

}  // namespace fleet::blobs
