#include "core/tensors/formats.hpp"

#include <array>

namespace fleet::tensors {
namespace {

constexpr std::uint32_t kIdentifier = 0x334c4654;  // "TFL3"
constexpr std::uint32_t kSubgraphsMax = 10'000;
/// TensorType of schema.fbs by its number.
constexpr auto kTypes = std::to_array<Type>({Type::f32, Type::f16, Type::i32, Type::i8, Type::i64, Type::bytes, Type::i8, Type::i16, Type::f32, Type::i8, Type::f64, Type::f64,
                                             Type::i64, Type::bytes, Type::bytes, Type::i32, Type::i16, Type::i8, Type::bf16});

/// A vector: where its first element lies, and how many there are.
struct Vector {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

/// FlatBuffers (flatbuffers.dev, "FlatBuffer Internals"): offsets are relative to where they stand.
class Flat {
public:
  explicit Flat(Reading& in) : in_(&in) {}

  /// Where a field of a table lies; 0: it is not there.
  Result<std::uint64_t> field(std::uint64_t table, unsigned index) {
    FLEET_TRY(auto const back, in_->u32(table));
    auto const vtable = table - static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(back)});
    if (vtable >= in_->size()) return in_->bad(table, "a table's vtable lies nowhere");
    FLEET_TRY(auto const bytes, in_->u16(vtable));
    auto const entry = 4 + 2 * std::uint64_t{index};
    if (entry + 2 > bytes) return std::uint64_t{0};
    FLEET_TRY(auto const offset, in_->u16(vtable + entry));
    return offset == 0 ? std::uint64_t{0} : table + offset;
  }
  Result<std::uint64_t> follow(std::uint64_t at) {
    FLEET_TRY(auto const offset, in_->u32(at));
    return at + offset;
  }
  /// The vector of a field; empty where the field is not there. @param width  bytes of an element
  Result<Vector> vector(std::uint64_t table, unsigned index, std::uint64_t width, std::uint32_t limit) {
    FLEET_TRY(auto const at, field(table, index));
    if (at == 0) return Vector{};
    FLEET_TRY(auto const begin, follow(at));
    FLEET_TRY(auto const count, in_->u32(begin));
    if (count > limit || count * width > in_->size() - begin - 4) return in_->bad(begin, "a vector is too long");
    return Vector{begin + 4, count};
  }
  Result<std::uint64_t> number(std::uint64_t table, unsigned index, unsigned width) {
    FLEET_TRY(auto const at, field(table, index));
    if (at == 0) return std::uint64_t{0};
    if (width == 8) return in_->u64(at);
    if (width == 4) {
      FLEET_TRY(auto const value, in_->u32(at));
      return std::uint64_t{value};
    }
    FLEET_TRY(auto const text, in_->text(at, 1));
    return std::uint64_t{static_cast<std::uint8_t>(text[0])};
  }

private:
  Reading* in_;
};

/// Where each buffer's data lies: Buffer: data = 0, offset = 1, size = 2 (those two past the FlatBuffers part of a file over 2 GiB).
Result<std::vector<std::pair<std::uint64_t, std::uint64_t>>> read_buffers(Reading& in, Flat& flat, std::uint64_t model) {
  FLEET_TRY(auto const buffers, flat.vector(model, 4, 4, kTensorsMax));
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (std::uint32_t i = 0; i < buffers.count; ++i) {
    FLEET_TRY(auto const buffer, flat.follow(buffers.first + 4 * std::uint64_t{i}));
    FLEET_TRY(auto const data, flat.vector(buffer, 0, 1, 0xffff'ffff));
    FLEET_TRY(auto const offset, flat.number(buffer, 1, 8));
    FLEET_TRY(auto const size, flat.number(buffer, 2, 8));
    if (offset > 1) {
      if (offset > in.size() || size > in.size() - offset) return in.bad(offset, "a buffer lies nowhere");
      out.emplace_back(offset, size);
    } else {
      out.emplace_back(data.first, data.count);
    }
  }
  return out;
}

/// Tensor: shape = 0, type = 1, buffer = 2, name = 3.
Result<std::pair<Tensor, std::uint64_t>> read_tensor(Reading& in, Flat& flat, std::uint64_t table) {
  Tensor out;
  FLEET_TRY(auto const shape, flat.vector(table, 0, 4, kDimensionsMax));
  for (std::uint32_t i = 0; i < shape.count; ++i) {
    FLEET_TRY(auto const size, in.u32(shape.first + 4 * std::uint64_t{i}));
    out.shape.push_back(size);
  }
  FLEET_TRY(auto const type, flat.number(table, 1, 1));
  FLEET_TRY(auto const buffer, flat.number(table, 2, 4));
  FLEET_TRY(auto const name, flat.vector(table, 3, 1, 1U << 20));
  FLEET_TRY(out.name, in.text(name.first, std::min<std::uint64_t>(name.count, kNameBytesMax)));
  out.type = type < kTypes.size() ? kTypes[static_cast<std::size_t>(type)] : Type::bytes;
  return std::pair(std::move(out), buffer);
}

}  // namespace

/// Model: subgraphs = 2 (SubGraph: tensors = 0), buffers = 4.
Result<std::vector<Tensor>> read_tflite(Reading& in) {
  FLEET_TRY(auto const identifier, in.u32(4));
  if (identifier != kIdentifier) return in.bad(4, "it does not begin as one");
  Flat flat(in);
  FLEET_TRY(auto const model, flat.follow(0));
  FLEET_TRY(auto const buffers, read_buffers(in, flat, model));
  FLEET_TRY(auto const subgraphs, flat.vector(model, 2, 4, kSubgraphsMax));
  std::vector<Tensor> out;
  for (std::uint32_t s = 0; s < subgraphs.count; ++s) {
    FLEET_TRY(auto const subgraph, flat.follow(subgraphs.first + 4 * std::uint64_t{s}));
    FLEET_TRY(auto const tensors, flat.vector(subgraph, 0, 4, kTensorsMax));
    for (std::uint32_t i = 0; i < tensors.count; ++i) {
      FLEET_TRY(auto const table, flat.follow(tensors.first + 4 * std::uint64_t{i}));
      FLEET_TRY(auto found, read_tensor(in, flat, table));
      if (found.second >= buffers.size()) return in.bad(table, "a tensor's buffer is not there");
      if (out.size() == kTensorsMax) return in.bad(table, "too many tensors");
      found.first.offset = buffers[static_cast<std::size_t>(found.second)].first;
      found.first.length = buffers[static_cast<std::size_t>(found.second)].second;
      out.push_back(std::move(found.first));
    }
  }
  return out;
}

}  // namespace fleet::tensors
