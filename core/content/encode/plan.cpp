#include "core/content/encode/plan.hpp"

#include "core/content/parts.hpp"

#include <algorithm>

namespace fleet::content {
namespace {

/// What lies between tensors and is longer is no header: its base is searched for.
constexpr std::uint64_t kSearchBytesMin = 32U << 10;
/// A tensor that is shorter does not end a block for its base's sake.
constexpr std::uint64_t kOwnBlockBytesMin = 16U << 10;

class Planner {
public:
  void add(Region const& region) {
    if (region.type == tensors::Type::bytes && region.length >= kSearchBytesMin) return add_searched(region);
    auto const record = tensors::record_bytes(region.type);
    for (std::uint64_t at = 0; at < region.length;) {
      auto from = region.from;
      if (from) from->offset += at;
      auto const room = (kBlockBytesMax - open_.length) / record * record;
      auto const length = std::min(room, region.length - at);
      bool const fits = length > 0 && open_.pieces.size() < kPartsMax / 4;
      if (fits && (!from || reaches(*from, length))) {
        push(region, at, length, from);
        at += length;
      } else if (fits && region.length < kOwnBlockBytesMin && open_.length > 0) {
        push(region, at, length, {});
        at += length;
      } else {
        close();
      }
    }
  }
  std::vector<Step> finish() {
    close();
    return std::move(steps_);
  }

private:
  void add_searched(Region const& region) {
    close();
    for (std::uint64_t at = 0; at < region.length; at += kBlockBytesMax)
      steps_.push_back({region.offset + at, static_cast<std::uint32_t>(std::min(kBlockBytesMax, region.length - at)), true, 0, {}});
  }
  [[nodiscard]] bool reaches(Region::From const& from, std::uint64_t length) const {
    if (!has_base_) return true;
    return from.file == open_.file && std::max(end_, from.offset + length) - std::min(begin_, from.offset) <= kBaseRangeBytesMax;
  }
  void push(Region const& region, std::uint64_t at, std::uint64_t length, std::optional<Region::From> const& from) {
    if (open_.length == 0) open_.offset = region.offset + at;
    open_.length += static_cast<std::uint32_t>(length);
    open_.pieces.push_back({static_cast<std::uint32_t>(length), region.type, from ? std::optional(from->offset) : std::nullopt});
    if (!from) return;
    begin_ = has_base_ ? std::min(begin_, from->offset) : from->offset;
    end_ = has_base_ ? std::max(end_, from->offset + length) : from->offset + length;
    open_.file = from->file;
    has_base_ = true;
  }
  void close() {
    if (open_.length > 0) steps_.push_back(std::move(open_));
    open_ = {};
    has_base_ = false;
  }

  std::vector<Step> steps_;
  Step open_;
  bool has_base_ = false;
  std::uint64_t begin_ = 0, end_ = 0;  ///< of the open block's base stretches
};

}  // namespace

std::vector<Step> plan_blocks(std::vector<Region> const& regions) {
  Planner planner;
  for (auto const& region : regions) planner.add(region);
  return planner.finish();
}

}  // namespace fleet::content
