#include "core/content/chunk_places.hpp"

#include <algorithm>
#include <cstring>

namespace fleet::content {
namespace {

std::uint64_t key_of(Digest const& digest) {
  std::uint64_t key = 0;
  std::memcpy(&key, digest.bytes.data(), sizeof key);
  return key;
}

}  // namespace

Result<void> ChunkPlaces::add(RecipeReader& recipe, std::uint32_t file) {
  recipe.rewind();
  for (;;) {
    FLEET_TRY(auto const block, recipe.next());
    if (!block) break;
    entries_.push_back({key_of(block->sha256), {file, block->offset, block->length}});
  }
  recipe.rewind();
  std::stable_sort(entries_.begin(), entries_.end(), [](Entry const& a, Entry const& b) { return a.key < b.key; });
  return {};
}

ChunkPlaces::Place const* ChunkPlaces::find(Digest const& block, std::uint32_t length) const {
  auto const key = key_of(block);
  auto at = std::lower_bound(entries_.begin(), entries_.end(), key, [](Entry const& entry, std::uint64_t wanted) { return entry.key < wanted; });
  for (; at != entries_.end() && at->key == key; ++at)
    if (at->place.length == length) return &at->place;
  return nullptr;
}

}  // namespace fleet::content
