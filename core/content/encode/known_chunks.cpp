#include "core/content/encode/encoder.hpp"

namespace fleet::content {

Result<void> KnownChunks::add(RecipeReader& recipe) {
  recipe.rewind();
  for (;;) {
    FLEET_TRY(auto const block, recipe.next());
    if (!block) break;
    if (block->stored && !block->base) places_.try_emplace(block->sha256, Place{*block, recipe.head().segments[block->stored->segment]});
  }
  recipe.rewind();
  return {};
}

KnownChunks::Place const* KnownChunks::find(Digest const& output) const {
  auto const found = places_.find(output);
  return found == places_.end() ? nullptr : &found->second;
}

}  // namespace fleet::content
