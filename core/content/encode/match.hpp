#pragma once

#include "core/content/encode/encoder.hpp"

#include <optional>

namespace fleet::content {

/// A stretch of the target, in or between tensors, and the stretch of a base that it is to be made from.
struct Region {
  std::uint64_t offset = 0, length = 0;
  tensors::Type type = tensors::Type::bytes;
  struct From {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
  };
  std::optional<From> from;
};

/// Cuts the target into regions, in order, without gaps. A tensor goes to the base's of the same name, type and shape; where there is none, or a look at samples
/// says that they have little in common (layers were inserted, and the names count on), to the most alike of the same type and shape, the nearest in order first.
/// What lies between tensors goes to where it would lie if it had moved as its neighbour did. @errors io
[[nodiscard]] Result<std::vector<Region>> match_regions(Source& target, std::vector<tensors::Tensor> const& target_tensors, std::vector<Base> const& bases);

}  // namespace fleet::content
