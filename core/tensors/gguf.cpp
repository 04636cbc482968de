#include "core/tensors/formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::tensors {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kKeysMax = 100'000, kItemsMax = 10'000'000, kTextBytesMax = 16 << 20;
constexpr std::string_view kAlignment = "general.alignment";

/// ggml_type, its block's elements and bytes (ggml-common.h), and what we know of the block.
struct GgmlType {
  std::uint32_t number, elements, bytes;
  Type type;
};
constexpr auto kTypes = std::to_array<GgmlType>({
    {0, 1, 4, Type::f32},       {1, 1, 2, Type::f16},       {2, 32, 18, Type::q4_0},    {3, 32, 20, Type::q4_1},    {6, 32, 22, Type::q5_0},    {7, 32, 24, Type::q5_1},
    {8, 32, 34, Type::q8_0},    {9, 32, 36, Type::q8_1},    {10, 256, 84, Type::q2_k},  {11, 256, 110, Type::q3_k}, {12, 256, 144, Type::q4_k}, {13, 256, 176, Type::q5_k},
    {14, 256, 210, Type::q6_k}, {15, 256, 292, Type::q8_k}, {16, 256, 66, Type::bytes}, {17, 256, 74, Type::bytes}, {18, 256, 98, Type::bytes}, {19, 256, 50, Type::bytes},
    {20, 32, 18, Type::iq4_nl}, {21, 256, 110, Type::bytes}, {22, 256, 82, Type::bytes}, {23, 256, 136, Type::iq4_xs}, {24, 1, 1, Type::i8},     {25, 1, 2, Type::i16},
    {26, 1, 4, Type::i32},      {27, 1, 8, Type::i64},      {28, 1, 8, Type::f64},      {29, 256, 56, Type::bytes}, {30, 1, 2, Type::bf16},     {34, 256, 54, Type::bytes},
    {35, 256, 66, Type::bytes}, {39, 32, 17, Type::bytes},
});
/// Bytes of gguf_metadata_value_type by its number; 0: not of one size.
constexpr std::array<std::uint64_t, 13> kValueBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr std::uint32_t kText = 8, kArray = 9;

class Gguf {
public:
  explicit Gguf(Reading& in) : in_(&in) {}

  Result<std::vector<Tensor>> read() {
    FLEET_TRY(auto const magic, in_->u32(0));
    FLEET_TRY(auto const version, in_->u32(4));
    if (magic != kMagic || version < 2 || version > 3) return in_->bad(0, "it does not begin as one of version 2 or 3");
    FLEET_TRY(auto const tensors, in_->u64(8));
    FLEET_TRY(auto const keys, in_->u64(16));
    if (tensors > kTensorsMax || keys > kKeysMax) return in_->bad(8, "too many tensors or keys");
    at_ = 24;
    for (std::uint64_t i = 0; i < keys; ++i) FLEET_CHECK(key());
    std::vector<Tensor> out;
    for (std::uint64_t i = 0; i < tensors; ++i) {
      FLEET_TRY(auto found, tensor());
      out.push_back(std::move(found));
    }
    auto const data = (at_ + alignment_ - 1) / alignment_ * alignment_;
    for (auto& one : out) {
      one.offset += data;
      if (one.offset > in_->size() || one.length > in_->size() - one.offset) return in_->bad(one.offset, "a tensor's data ends past the file");
    }
    return out;
  }

private:
  Result<void> skip(std::uint64_t bytes) {
    if (bytes > in_->size() - std::min(at_, in_->size())) return in_->bad(at_, "it ends in the middle of a value");
    at_ += bytes;
    return {};
  }
  Result<std::string> text() {
    FLEET_TRY(auto const length, in_->u64(at_));
    if (length > kTextBytesMax) return in_->bad(at_, "a text is too long");
    auto const begin = at_ + 8;
    FLEET_CHECK(skip(8 + length));
    return in_->text(begin, std::min<std::uint64_t>(length, kNameBytesMax));
  }
  Result<void> skip_text() {
    FLEET_TRY(auto const length, in_->u64(at_));
    if (length > kTextBytesMax) return in_->bad(at_, "a text is too long");
    return skip(8 + length);
  }
  Result<void> value(std::uint32_t type) {
    if (type == kText) return skip_text();
    if (type != kArray) {
      if (type >= kValueBytes.size()) return in_->bad(at_, fmt::format("{} is no type of a value", type));
      return skip(kValueBytes[type]);
    }
    FLEET_TRY(auto const each, in_->u32(at_));
    FLEET_TRY(auto const count, in_->u64(at_ + 4));
    FLEET_CHECK(skip(12));
    items_ += count;
    if (count > kItemsMax || items_ > kItemsMax || each == kArray || each >= kValueBytes.size()) return in_->bad(at_, "an array is too long, or of arrays");
    if (each != kText) return skip(count * kValueBytes[each]);
    for (std::uint64_t i = 0; i < count; ++i) FLEET_CHECK(skip_text());
    return {};
  }
  Result<void> key() {
    FLEET_TRY(auto const name, text());
    FLEET_TRY(auto const type, in_->u32(at_));
    at_ += 4;
    if (name == kAlignment && type == 4) {
      FLEET_TRY(alignment_, in_->u32(at_));
      if (alignment_ == 0 || alignment_ > 1U << 20) return in_->bad(at_, "an alignment that cannot be");
    }
    return value(type);
  }
  Result<Tensor> tensor() {
    Tensor out;
    FLEET_TRY(out.name, text());
    FLEET_TRY(auto const dimensions, in_->u32(at_));
    if (dimensions > kDimensionsMax) return in_->bad(at_, "too many dimensions");
    at_ += 4;
    std::uint64_t elements = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i, at_ += 8) {
      FLEET_TRY(auto const size, in_->u64(at_));
      out.shape.push_back(size);
      if (size != 0 && elements > (std::uint64_t{1} << 48) / size) return in_->bad(at_, "a tensor is too large");
      elements *= size;
    }
    FLEET_TRY(auto const number, in_->u32(at_));
    FLEET_TRY(out.offset, in_->u64(at_ + 4));
    auto const type = std::find_if(kTypes.begin(), kTypes.end(), [&](GgmlType const& one) { return one.number == number; });
    if (type == kTypes.end()) return in_->bad(at_, fmt::format("type {} is not known", number));
    at_ += 12;
    if (out.offset > std::uint64_t{1} << 50) return in_->bad(at_, "a tensor's data lies nowhere");
    out.type = type->type;
    out.length = elements / type->elements * type->bytes;
    return out;
  }

  Reading* in_;
  std::uint64_t at_ = 0, items_ = 0;
  std::uint32_t alignment_ = 32;
};

}  // namespace

Result<std::vector<Tensor>> read_gguf(Reading& in) { return Gguf(in).read(); }

}  // namespace fleet::tensors
