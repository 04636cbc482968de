#include "core/content/encode/segments.hpp"

#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::content {

EncodedBlock seal(EncodedBlock block, crypto::DataKey const& key) {
  if (block.stored.empty()) return block;
  block.stored = key.seal(block.stored);
  block.block.sealed = true;
  return block;
}

RecipeBuilder::RecipeBuilder(Digest const& sha256, std::uint64_t size, std::vector<BaseFile> bases, Sink sink) : sink_(std::move(sink)) {
  head_.sha256 = sha256;
  head_.size = size;
  head_.bases = std::move(bases);
}

/// A checkpoint is a recipe whose output is the blocks so far; its digest is the whole output's.
Result<void> RecipeBuilder::resume(BytesView checkpoint) {
  MemorySource source(checkpoint);
  FLEET_TRY(auto reader, RecipeReader::open(source));
  if (reader.head().sha256 != head_.sha256 || reader.head().size > head_.size || reader.head().bases != head_.bases)
    return Error{Kind::conflict, "other_checkpoint", fmt::format("a checkpoint of {} cannot go on as {}", reader.head().sha256.hex(), head_.sha256.hex())};
  FLEET_TRY(blocks_, reader.all());
  offset_ = reader.head().size;
  head_.segments = reader.head().segments;
  indexes_.clear();
  for (std::size_t i = 0; i < head_.segments.size(); ++i) indexes_.emplace(head_.segments[i].sha256, static_cast<std::uint32_t>(i));
  open_.clear();
  open_first_ = blocks_.size();
  return {};
}

std::uint32_t RecipeBuilder::segment_index(Segment const& segment) {
  auto const [at, is_new] = indexes_.try_emplace(segment.sha256, static_cast<std::uint32_t>(head_.segments.size()));
  if (is_new) head_.segments.push_back(segment);
  return at->second;
}

Result<void> RecipeBuilder::add(EncodedBlock encoded) {
  auto& block = encoded.block;
  if (block.length == 0 || block.length > kBlockBytesMax || block.length > head_.size - offset_)
    return Error{Kind::internal, "bad_blocks", fmt::format("a block of {} bytes at {} of {}", block.length, offset_, head_.size)};
  if (head_.segments.size() + 1 >= kSegmentsMax || blocks_.size() >= kBlocksMax)
    return Error{Kind::too_large, "recipe_too_large", fmt::format("{} blocks in {} wire objects are as many as a recipe has", blocks_.size(), head_.segments.size())};
  if (!encoded.stored.empty()) {
    if (open_.size() + encoded.stored.size() > kSegmentBytesMax) FLEET_CHECK(flush());
    block.stored = StoredRange{kOpen, static_cast<std::uint32_t>(open_.size()), static_cast<std::uint32_t>(encoded.stored.size()), crypto::sha256(encoded.stored)};
    open_.insert(open_.end(), encoded.stored.begin(), encoded.stored.end());
  }
  block.offset = offset_;
  offset_ += block.length;
  blocks_.push_back(block);
  return {};
}

Result<void> RecipeBuilder::flush() {
  if (!open_.empty()) {
    Segment const segment{crypto::sha256(open_), static_cast<std::uint32_t>(open_.size())};
    FLEET_CHECK(sink_(segment.sha256, open_));
    auto const index = segment_index(segment);
    for (std::size_t i = open_first_; i < blocks_.size(); ++i)
      if (blocks_[i].stored && blocks_[i].stored->segment == kOpen) blocks_[i].stored->segment = index;
  }
  open_.clear();
  open_first_ = blocks_.size();
  return {};
}

Result<Bytes> RecipeBuilder::checkpoint() {
  FLEET_CHECK(flush());
  auto head = head_;
  head.size = offset_;
  return encode_recipe(head, blocks_);
}

Result<Bytes> RecipeBuilder::finish() {
  if (offset_ != head_.size) return Error{Kind::internal, "bad_blocks", fmt::format("the blocks have {} bytes, the output {}", offset_, head_.size)};
  FLEET_CHECK(flush());
  return encode_recipe(head_, blocks_);
}

}  // namespace fleet::content
