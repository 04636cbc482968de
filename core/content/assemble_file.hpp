#pragma once

#include "core/content/assembler.hpp"

#include <functional>

namespace fleet::content {

/// What a recipe's blocks are made of, where all of it is at hand.
struct AtHand {
  /// A wire object; the last that was asked for is kept until the next. @errors what the reader of objects says
  std::function<Result<Source*>(Segment const& segment)> object;
  std::vector<Source*> bases;  ///< as the recipe counts them
};

/// Makes a whole file, block after block, in constant memory.
/// @param take  each block in its turn; its error ends it @errors as Assembler::assemble and RecipeReader::next, what `object` and `take` say
[[nodiscard]] Result<void> assemble_file(RecipeReader& recipe, Assembler& assembler, AtHand const& from, std::function<Result<void>(Block const& block, BytesView bytes)> const& take);

}  // namespace fleet::content
