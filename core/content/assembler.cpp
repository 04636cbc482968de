#include "core/content/assembler.hpp"

#include "core/content/zstd.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::content {
namespace {

Error refused(std::string_view code, Block const& block, std::string_view why) {
  return {Kind::unprocessable, std::string(code), fmt::format("block of {} bytes at {} ({}): {}", block.length, block.offset, to_string(block.method), why)};
}

}  // namespace

Result<BytesView> Assembler::assemble(Block const& block, BytesView stored, Source* base) {
  if (block.length == 0 || block.length > kBlockBytesMax) return refused("bad_block", block, "its length is out of bounds");
  if (stored.size() != (block.stored ? block.stored->length : 0))
    return refused("stored_mismatch", block, fmt::format("{} bytes are stored, expected {}", stored.size(), block.stored ? block.stored->length : 0));
  if (block.stored)
    if (auto const got = crypto::sha256(stored); got != block.stored->sha256)
      return refused("stored_mismatch", block, fmt::format("the stored bytes are {}, expected {}", got.hex(), block.stored->sha256.hex()));
  if (block.sealed) {
    auto opened = key_ ? key_->open(stored) : Result<Bytes>(Error{Kind::unprocessable, "no_data_key", "there is no key for it"});
    if (!opened) return refused("bad_block", block, opened.error().detail);
    opened_ = *std::move(opened);
    stored = opened_;
  }
  FLEET_CHECK(read_base(block, base));
  FLEET_CHECK(decode(block, stored));
  // What is stored raw and what is copied was hashed on the way in, as the same digest.
  if (block.method == Method::raw && block.stored->sha256 == block.sha256) return stored;
  if (block.method == Method::copy && block.base->sha256 == block.sha256) return BytesView(base_);
  if (auto const got = crypto::sha256(output_); got != block.sha256)
    return refused("bad_block", block, fmt::format("it came out as {}, expected {}", got.hex(), block.sha256.hex()));
  return BytesView(output_);
}

Result<void> Assembler::read_base(Block const& block, Source* base) {
  base_.clear();
  if (!block.base) return {};
  if (block.base->length > kBaseRangeBytesMax) return refused("bad_block", block, "its base range is too long");
  if (base == nullptr) return refused("base_mismatch", block, "its base is not there");
  if (block.base->offset > base->size() || block.base->length > base->size() - block.base->offset)
    return refused("base_mismatch", block, fmt::format("its base range ends past the {} bytes that are there", base->size()));
  base_.resize(block.base->length);
  FLEET_CHECK(base->read(block.base->offset, base_));
  if (auto const got = crypto::sha256(base_); got != block.base->sha256)
    return refused("base_mismatch", block, fmt::format("the base has {} there, expected {}", got.hex(), block.base->sha256.hex()));
  return {};
}

Result<void> Assembler::decode(Block const& block, BytesView stored) {
  bool const sound = (block.method == Method::copy ? block.base && block.base->length == block.length : true) &&
                     (block.method == Method::raw ? block.stored && stored.size() == block.length : true) &&
                     (block.method == Method::zstd || block.method == Method::parts ? block.stored.has_value() : true);
  if (!sound) return refused("bad_block", block, "base or stored range do not go with its method");
  switch (block.method) {
    case Method::constant: output_.assign(block.length, block.value); return {};
    case Method::raw: output_.assign(stored.begin(), stored.end()); return {};
    case Method::copy: output_ = base_; return {};
    case Method::zstd:
      output_.resize(block.length);
      if (!zstd_decompress(stored, {}, output_)) return refused("bad_block", block, "what is stored is no zstd frame of this length");
      return {};
    case Method::parts:
      output_.resize(block.length);
      if (!decode_parts(stored, base_, output_, scratch_)) return refused("bad_block", block, "what is stored makes no parts of this length");
      return {};
  }
  return refused("bad_block", block, "a method of a later version");
}

}  // namespace fleet::content
