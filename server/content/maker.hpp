#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <optional>
#include <set>
#include <string>

/// One recipe, made. Long, blocking; stops within a block, or a mebibyte that is read, and goes on from its last checkpoint.
namespace fleet::routes {

/// A delta is kept where it takes at most this share of what it replaces; what starts from nothing, this share of the file. What is encrypted and starts from
/// nothing is always kept: there is no other way.
inline constexpr double kDeltaShareMax = .8, kWholeShareMax = .95;

/// What is to be made, as its row says.
struct Task {
  std::int64_t n = 0;
  Digest target, base;  ///< base zero: from nothing
  std::int64_t release = 0, variant = 0;
  std::optional<std::int64_t> base_release, base_variant;
  std::int64_t sealed = 0;  ///< the release with whose key it is encrypted; 0: with none
  [[nodiscard]] bool is_needed() const { return sealed != 0 && base == Digest{}; }  ///< as WantedRecipe has it
};
/// The one to make next, none of `but`; nothing: none waits.
[[nodiscard]] Result<std::optional<Task>> next_task(db::Connection& reader, std::set<std::int64_t> const& but = {});

struct MakerContext {
  store::Store& store;
  Fs& fs;
  Clock& clock;
  std::string data_dir;
  blobs::BlobStore& blobs;
  signing::KeyRing& keys;
  std::atomic<bool> const& stop;
};
/// Makes it, tries it out block by block, and notes it as ready; or as refused, where it saves too little, or failed.
/// @errors unavailable (`interrupted`; `disk_full`: another time), io
[[nodiscard]] Result<void> make_recipe(MakerContext const& context, Task const& task);
/// Its row goes, or waits again, and then the objects that no other has. @param again  it is to be made once more
[[nodiscard]] Result<void> give_up(MakerContext const& context, std::int64_t n, bool again = false);

}  // namespace fleet::routes
