#pragma once

#include "core/content/rans.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace fleet::content {

/// A block stored as `Method::parts`: stretches of it (parts) belong to groups; a group is a sequence of records of little-endian integers, each integer is the
/// difference to the base's (as zigzag) or itself, and the integers' bytes are stored plane by plane, the highest first, over all parts of a group.
///
/// Stored: how many groups; of each its flags and fields; how many parts, the list of them (raw, or one zstd frame) and of each: group, length, and for a group
/// with a base the way from where the last base stretch ended; then the planes, group by group, field by field.
inline constexpr std::size_t kGroupsMax = 8, kFieldsMax = 8, kFieldCountMax = 256, kPartsMax = 1U << 16, kPartListBytesMax = 1U << 20;

/// A field of a record: `count` integers of `width` bytes (1, 2, 4, 8).
struct PartField {
  std::uint8_t width = 1;
  std::uint16_t count = 1;
};
struct PartGroup {
  bool has_base = false;  ///< integers are base + unzigzag(stored)
  bool rotated = false;   ///< integers wider than a byte are stored rotated left by one: a float's exponent fills the highest byte
  std::vector<PartField> fields;
};
inline constexpr std::uint8_t kGroupHasBase = 1, kGroupRotated = 2;
[[nodiscard]] inline std::uint32_t record_bytes(PartGroup const& group) {
  std::uint32_t bytes = 0;
  for (auto const& field : group.fields) bytes += std::uint32_t{field.width} * field.count;
  return bytes;
}
struct Part {
  std::uint32_t group = 0;
  std::uint32_t length = 0;  ///< whole records
  std::uint32_t offset = 0;  ///< in the block: where the part before it ends
  std::uint32_t base = 0;    ///< in the base range
};

/// How a plane is stored. Numbers are of the format.
enum class PlaneCoding : std::uint8_t {
  constant = 0,    ///< one byte
  raw = 1,         ///< as it is
  zstd = 2,        ///< length, frame
  zstd_base = 3,   ///< length, frame that refers back to the base range
  rans = 4,        ///< length, bytes
  rans_base = 5,   ///< shift, length, bytes; context: the base's integer, shifted right so far, its lowest byte
  rans_above = 6,  ///< length, bytes; context: the plane above
  sparse = 7,      ///< the common byte; how many others, how many bytes say where; both as planes (constant to rans): how many common ones come before each
                   ///< (255: so many, and more to come), and what the others are
};

/// Of a sparse plane: bytes that say where, and what.
inline constexpr std::size_t kSparsePartMax = 2;  ///< at most the plane's length, divided by this
inline constexpr std::uint8_t kSparseMore = 255;

struct PartsScratch {
  Bytes planes, contexts, list, sparse;
  std::vector<Part> parts;
  RansScratch rans;
};
/// Fills all of `out`. @returns false for what makes no sense
[[nodiscard]] bool decode_parts(BytesView stored, BytesView base, std::span<std::uint8_t> out, PartsScratch& scratch);

/// The planes of one field, the highest first, put together and to where they belong. @param planes  count x width bytes of the field, over the whole group
void merge_planes(PartGroup const& group, std::size_t index, std::size_t field, BytesView planes, std::span<Part const> parts, BytesView base, std::span<std::uint8_t> out);
/// A context for each integer of a field, in the group's order: the base's integer, shifted right. For whom encodes, too.
void base_contexts(PartGroup const& group, std::size_t index, std::size_t field, unsigned shift, std::span<Part const> parts, BytesView base, std::span<std::uint8_t> out);

}  // namespace fleet::content
