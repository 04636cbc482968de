#pragma once

#include "core/base/fs.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// What readers of layouts share. For this folder's .cpp files.
namespace fleet::tensors {

inline constexpr std::size_t kTensorsMax = 200'000;
inline constexpr std::size_t kDimensionsMax = 16;
inline constexpr std::size_t kNameBytesMax = 1024;

[[nodiscard]] Error no_layout(std::string_view format, std::uint64_t offset, std::string_view why);

/// Little-endian numbers and texts of a file, wherever they stand. @errors unprocessable (code `no_layout`) past the end; io
class Reading {
public:
  Reading(File& file, std::uint64_t size, std::string_view format) : file_(&file), size_(size), format_(format) {}
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Error bad(std::uint64_t offset, std::string_view why) const { return no_layout(format_, offset, why); }
  Result<std::uint16_t> u16(std::uint64_t offset);
  Result<std::uint32_t> u32(std::uint64_t offset);
  Result<std::uint64_t> u64(std::uint64_t offset);
  /// `length` is within a limit that the caller holds.
  Result<std::string> text(std::uint64_t offset, std::uint64_t length);

private:
  Result<std::uint64_t> number(std::uint64_t offset, std::size_t width);
  File* file_;
  std::uint64_t size_;
  std::string_view format_;
  std::string piece_;  ///< what was read ahead
  std::uint64_t piece_at_ = 0;
};

}  // namespace fleet::tensors
