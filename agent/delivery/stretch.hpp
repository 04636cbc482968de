#pragma once

#include "agent/delivery/fetcher.hpp"
#include "core/content/assembler.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace fleet::agent {

/// Where each of a recipe's bases lies: in any of these places.
using BaseSources = std::vector<std::vector<std::unique_ptr<content::FileSource>>>;

/// One block that is to be made.
struct Piece {
  std::uint64_t index = 0;
  content::Block block;
};
/// Blocks one after another whose stored ranges, where they have one, lie in one wire object, one after another: one request brings them.
struct Stretch {
  std::vector<content::Segment> const& segments;
  BaseSources const& bases;
  std::vector<Piece> const& pieces;
  std::atomic<std::uint64_t>& left;
  std::optional<crypto::DataKey> const& key;  ///< of blocks that are encrypted
};
/// Whether a block can be made with these.
[[nodiscard]] bool fits(std::vector<Piece> const& batch, content::Block const& block);
/// Makes them as their bytes arrive.
/// @param write  takes each that is right
/// @returns those that could not be made: their base is not what it should be, or their object bad wherever it was asked for
/// @errors as download: what arrived before is written
[[nodiscard]] Result<std::vector<Piece>> fetch_stretch(Fetcher const& with, Stretch const& stretch, std::function<Result<void>(Piece const&, BytesView)> const& write);

/// A few bytes out of an object.
struct Range {
  Digest object;
  std::uint64_t from = 0, to = 0;
  std::uint64_t size = 0;  ///< of the whole object
};
/// @param sha256  of the range @errors as download
[[nodiscard]] Result<void> fetch_range(Fetcher const& with, Range const& range, Digest const& sha256, std::atomic<std::uint64_t>& left, Bytes& out);

}  // namespace fleet::agent
