#include "core/content/assemble_file.hpp"

namespace fleet::content {

Result<void> assemble_file(RecipeReader& recipe, Assembler& assembler, AtHand const& from, std::function<Result<void>(Block const& block, BytesView bytes)> const& take) {
  Source* object = nullptr;
  std::optional<std::uint32_t> opened;
  Bytes stored;
  recipe.rewind();
  for (;;) {
    FLEET_TRY(auto const block, recipe.next());
    if (!block) return {};
    stored.resize(block->stored ? block->stored->length : 0);
    if (block->stored) {
      if (opened != block->stored->segment) {
        FLEET_TRY(object, from.object(recipe.head().segments[block->stored->segment]));
        opened = block->stored->segment;
      }
      FLEET_CHECK(object->read(block->stored->offset, stored));
    }
    bool const has_base = block->base && block->base->file < from.bases.size();
    FLEET_TRY(auto const bytes, assembler.assemble(*block, stored, has_base ? from.bases[block->base->file] : nullptr));
    FLEET_CHECK(take(*block, bytes));
  }
}

}  // namespace fleet::content
