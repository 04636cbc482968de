#include "core/content/parts.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace fleet::content {
namespace {

static_assert(std::endian::native == std::endian::little, "models are little-endian, and so is every device");

template <class Integer>
Integer load(std::uint8_t const* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

enum class Form { plain, rotated, difference };

/// `count` neighbouring integers whose bytes lie in planes `plane` bytes apart, the highest first.
template <class Integer, Form kForm>
void merge_row(std::uint8_t const* planes, std::size_t plane, std::size_t count, std::uint8_t* out, std::uint8_t const* base) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t bytes = 0;
    for (std::size_t p = 0; p < sizeof(Integer); ++p) bytes = bytes << 8 | planes[p * plane + i];
    auto value = static_cast<Integer>(bytes);
    if constexpr (kForm == Form::difference)
      value = static_cast<Integer>(load<Integer>(base + i * sizeof(Integer)) + static_cast<Integer>((value >> 1) ^ static_cast<Integer>(-(value & 1))));
    if constexpr (kForm == Form::rotated && sizeof(Integer) > 1) value = static_cast<Integer>(value >> 1 | static_cast<Integer>(value << (8 * sizeof(Integer) - 1)));
    std::memcpy(out + i * sizeof(Integer), &value, sizeof value);
  }
}

using MergeRow = void (*)(std::uint8_t const*, std::size_t, std::size_t, std::uint8_t*, std::uint8_t const*);
template <class Integer>
constexpr std::array<MergeRow, 3> kMergeRows{merge_row<Integer, Form::plain>, merge_row<Integer, Form::rotated>, merge_row<Integer, Form::difference>};
/// By the logarithm of the width.
constexpr std::array<std::array<MergeRow, 3>, 4> kMerge{kMergeRows<std::uint8_t>, kMergeRows<std::uint16_t>, kMergeRows<std::uint32_t>, kMergeRows<std::uint64_t>};

template <class Integer>
void context_row(std::uint8_t const* base, std::size_t count, unsigned shift, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(load<Integer>(base + i * sizeof(Integer)) >> shift);
}
using ContextRow = void (*)(std::uint8_t const*, std::size_t, unsigned, std::uint8_t*);
constexpr std::array<ContextRow, 4> kContexts{context_row<std::uint8_t>, context_row<std::uint16_t>, context_row<std::uint32_t>, context_row<std::uint64_t>};

std::size_t width_index(PartField const& field) { return static_cast<std::size_t>(std::countr_zero(field.width)); }

/// Calls `each(first integer, integers, where they are in the block, where in the base)` for each row of neighbouring integers of one field of a group.
template <class Each>
void each_row(PartGroup const& group, std::size_t index, std::size_t field, std::span<Part const> parts, Each const& each) {
  std::size_t const count = group.fields[field].count, record = record_bytes(group);
  // One field: all records of a part are one row.
  bool const whole = group.fields.size() == 1;
  std::size_t before = 0, at = 0;
  for (std::size_t f = 0; f < field; ++f) before += std::size_t{group.fields[f].width} * group.fields[f].count;
  for (auto const& part : parts) {
    if (part.group != index) continue;
    auto const records = part.length / record, length = whole ? records * count : count;
    for (std::size_t r = 0; r < (whole ? 1 : records); ++r, at += length) each(at, length, part.offset + r * record + before, part.base + r * record + before);
  }
}

}  // namespace

void merge_planes(PartGroup const& group, std::size_t index, std::size_t field, BytesView planes, std::span<Part const> parts, BytesView base, std::span<std::uint8_t> out) {
  auto const form = group.has_base ? Form::difference : group.rotated ? Form::rotated : Form::plain;
  auto const merge = kMerge[width_index(group.fields[field])][static_cast<std::size_t>(form)];
  auto const plane = planes.size() / group.fields[field].width;
  each_row(group, index, field, parts, [&](std::size_t first, std::size_t count, std::size_t to, std::size_t from) {
    merge(planes.data() + first, plane, count, out.data() + to, group.has_base ? base.data() + from : nullptr);
  });
}

void base_contexts(PartGroup const& group, std::size_t index, std::size_t field, unsigned shift, std::span<Part const> parts, BytesView base, std::span<std::uint8_t> out) {
  auto const row = kContexts[width_index(group.fields[field])];
  each_row(group, index, field, parts, [&](std::size_t first, std::size_t count, std::size_t, std::size_t from) { row(base.data() + from, count, shift, out.data() + first); });
}

}  // namespace fleet::content
