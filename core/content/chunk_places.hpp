#pragma once

#include "core/content/recipe.hpp"

#include <cstdint>
#include <vector>

namespace fleet::content {

/// Where the blocks of files that are there already lie: from the chunk recipes of what is installed, so that a new version's chunks that are among them are
/// copied and not fetched. 24 bytes a block.
class ChunkPlaces {
public:
  struct Place {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
  };
  /// All blocks of the recipe that `file`, a number of the caller's, was made by or might have been. @errors as RecipeReader::next
  Result<void> add(RecipeReader& recipe, std::uint32_t file);
  /// A place that should hold a block of that digest and length: whoever copies from it verifies. Null: none.
  [[nodiscard]] Place const* find(Digest const& block, std::uint32_t length) const;

private:
  struct Entry {
    std::uint64_t key = 0;  ///< the digest's first 8 bytes
    Place place;
  };
  std::vector<Entry> entries_;  ///< by key
};

}  // namespace fleet::content
