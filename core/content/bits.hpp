#pragma once

#include "core/base/bytes.hpp"

#include <bit>
#include <cstdint>

namespace fleet::content {

/// Bits of a byte sequence, lowest first. Past the end they are 0 and `failed` holds.
class BitReader {
public:
  explicit BitReader(BytesView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint32_t bits(unsigned count) {
    std::uint32_t out = 0;
    for (unsigned i = 0; i < count; ++i) out |= bit() << i;
    return out;
  }
  /// Elias' gamma code of a number from 0 to 255, as the number + 1.
  [[nodiscard]] std::uint32_t gamma() {
    unsigned zeros = 0;
    while (zeros < 8 && bit() == 0) ++zeros;
    return (1U << zeros | bits(zeros)) - 1;
  }
  /// How many bytes were begun.
  [[nodiscard]] std::size_t bytes_used() const { return (at_ + 7) / 8; }
  [[nodiscard]] bool failed() const { return at_ > bytes_.size() * 8; }

private:
  std::uint32_t bit() {
    auto const at = at_++;
    return at / 8 < bytes_.size() ? std::uint32_t{bytes_[at / 8]} >> (at % 8) & 1U : 0;
  }
  BytesView bytes_;
  std::size_t at_ = 0;
};

class BitWriter {
public:
  explicit BitWriter(Bytes& out) : out_(&out) {}
  void bits(std::uint32_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      if (used_ == 0) out_->push_back(0);
      out_->back() = static_cast<std::uint8_t>(out_->back() | (value >> i & 1U) << used_);
      used_ = (used_ + 1) % 8;
    }
  }
  void gamma(std::uint32_t value) {
    auto const width = static_cast<unsigned>(std::bit_width(value + 1)) - 1;
    bits(0, width);
    bits(1, 1);
    bits((value + 1) & ((1U << width) - 1), width);
  }

private:
  Bytes* out_;
  unsigned used_ = 0;
};
[[nodiscard]] inline unsigned gamma_bits(std::uint32_t value) { return 2 * static_cast<unsigned>(std::bit_width(value + 1)) - 1; }

}  // namespace fleet::content
