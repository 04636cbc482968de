#include "core/tensors/reading.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::tensors {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;

}  // namespace

Error no_layout(std::string_view format, std::uint64_t offset, std::string_view why) {
  return {Kind::unprocessable, "no_layout", fmt::format("no layout of {}: byte {}: {}", format, offset, why)};
}

Result<std::string> Reading::text(std::uint64_t offset, std::uint64_t length) {
  if (offset > size_ || length > size_ - offset) return no_layout(format_, offset, fmt::format("the file ends at {}, {} bytes were to come", size_, length));
  std::string out(static_cast<std::size_t>(length), '\0');
  std::size_t have = 0;
  while (have < out.size()) {
    FLEET_TRY(auto const got, file_->read_at(offset + have, {reinterpret_cast<std::uint8_t*>(out.data()) + have, out.size() - have}));
    if (got == 0) return no_layout(format_, offset + have, "the file became shorter");
    have += got;
  }
  return out;
}

Result<std::uint64_t> Reading::number(std::uint64_t offset, std::size_t width) {
  if (offset > size_ || width > size_ - offset) return no_layout(format_, offset, fmt::format("the file ends at {}, a number was to come", size_));
  if (offset < piece_at_ || offset + width > piece_at_ + piece_.size()) {
    FLEET_TRY(piece_, text(offset, std::min<std::uint64_t>(kPieceBytes, size_ - offset)));
    piece_at_ = offset;
  }
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(piece_[static_cast<std::size_t>(offset - piece_at_) + i]);
  return value;
}

Result<std::uint16_t> Reading::u16(std::uint64_t offset) {
  FLEET_TRY(auto const value, number(offset, 2));
  return static_cast<std::uint16_t>(value);
}
Result<std::uint32_t> Reading::u32(std::uint64_t offset) {
  FLEET_TRY(auto const value, number(offset, 4));
  return static_cast<std::uint32_t>(value);
}
Result<std::uint64_t> Reading::u64(std::uint64_t offset) { return number(offset, 8); }

}  // namespace fleet::tensors
