#pragma once

#include "core/content/encode/encoder.hpp"

#include <atomic>
#include <optional>

namespace fleet::content {

/// Finds the stretch of some base files that a block has most in common with, by samples of the bases: a hash of 32 bytes every so many. At most 16 MiB, whatever
/// the bases' sizes.
class WindowIndex {
public:
  /// Reads the bases once. @errors io
  [[nodiscard]] static Result<WindowIndex> build(std::vector<Base> const& bases);
  struct Window {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
  };
  /// At most kBaseRangeBytesMax. @param offset  of the block in its file: of two windows that have as much in common the nearer one is taken
  [[nodiscard]] std::optional<Window> find(BytesView block, std::uint64_t offset) const;

private:
  struct Entry {
    std::uint32_t check = 0, place = 0;  ///< place: 1 + the sample's number, over all bases; 0: empty, kRepeated: there are several, and it says nothing
  };
  static constexpr std::uint32_t kRepeated = ~std::uint32_t{0};
  void insert(std::uint64_t hash, std::uint32_t place);

  std::vector<std::uint64_t> starts_;  ///< of each base in the row of all; the last is the end
  std::uint64_t stride_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace fleet::content
