#include "core/content/parts.hpp"

#include "core/content/zstd.hpp"

#include <algorithm>
#include <optional>

namespace fleet::content {
namespace {

/// Bytes that are taken from the front. After a fault nothing more comes.
class Cursor {
public:
  explicit Cursor(BytesView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::optional<std::uint8_t> byte() {
    if (bytes_.empty()) return {};
    auto const b = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return b;
  }
  [[nodiscard]] std::optional<std::uint32_t> number() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      auto const b = byte();
      if (!b) return {};
      value |= (*b & 0x7fU) << shift;
      if ((*b & 0x80) == 0) return value;
    }
    return {};
  }
  [[nodiscard]] std::optional<BytesView> take(std::size_t size) {
    if (size > bytes_.size()) return {};
    auto const out = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return out;
  }
  [[nodiscard]] bool done() const { return bytes_.empty(); }

private:
  BytesView bytes_;
};

bool is_width(unsigned width) { return width == 1 || width == 2 || width == 4 || width == 8; }

bool read_groups(Cursor& in, std::vector<PartGroup>& groups) {
  auto const count = in.byte();
  if (!count || *count == 0 || *count > kGroupsMax) return false;
  for (unsigned g = 0; g < *count; ++g) {
    auto const flags = in.byte(), fields = in.byte();
    if (!flags || (*flags & ~(kGroupHasBase | kGroupRotated)) != 0 || !fields || *fields == 0 || *fields > kFieldsMax) return false;
    auto& group = groups.emplace_back();
    group.has_base = (*flags & kGroupHasBase) != 0;
    group.rotated = (*flags & kGroupRotated) != 0;
    for (unsigned f = 0; f < *fields; ++f) {
      auto const width = in.byte();
      auto const repeat = in.number();
      if (!width || !is_width(*width) || !repeat || *repeat == 0 || *repeat > kFieldCountMax) return false;
      group.fields.push_back({*width, static_cast<std::uint16_t>(*repeat)});
    }
  }
  return true;
}

/// The list of parts, which is raw or a zstd frame of a given length.
std::optional<BytesView> read_list(Cursor& in, Bytes& room) {
  auto const stored = in.number(), decoded = in.number();
  if (!stored || !decoded || *decoded > kPartListBytesMax) return {};
  auto const bytes = in.take(*stored);
  if (!bytes || *decoded == 0) return bytes;
  room.resize(*decoded);
  if (!zstd_decompress(*bytes, {}, room)) return {};
  return BytesView(room);
}

bool read_parts(Cursor& in, std::vector<PartGroup> const& groups, std::size_t base_size, std::size_t size, PartsScratch& scratch) {
  auto const count = in.number();
  if (!count || *count == 0 || *count > kPartsMax) return false;
  auto const bytes = read_list(in, scratch.list);
  if (!bytes) return false;
  Cursor list(*bytes);
  scratch.parts.clear();
  scratch.parts.reserve(*count);
  std::size_t offset = 0;
  std::uint32_t base_at = 0;
  for (std::uint32_t i = 0; i < *count; ++i) {
    auto const group = list.number(), length = list.number();
    if (!group || *group >= groups.size() || !length || *length == 0 || *length > size - offset || *length % record_bytes(groups[*group]) != 0) return false;
    Part part{*group, *length, static_cast<std::uint32_t>(offset), 0};
    if (groups[*group].has_base) {
      auto const way = list.number();
      if (!way) return false;
      part.base = *way % 2 == 0 ? base_at + *way / 2 : base_at - *way / 2 - 1;
      if (part.base > base_size || part.length > base_size - part.base) return false;
      base_at = part.base + part.length;
    }
    offset += part.length;
    scratch.parts.push_back(part);
  }
  return list.done() && offset == size;
}

/// A plane that needs nothing but its own bytes: constant to rans.
bool read_plain(Cursor& in, PlaneCoding coding, std::span<std::uint8_t> plane, RansScratch& rans) {
  if (coding == PlaneCoding::constant) {
    auto const value = in.byte();
    if (value) std::fill(plane.begin(), plane.end(), *value);
    return value.has_value();
  }
  if (coding == PlaneCoding::raw) {
    auto const bytes = in.take(plane.size());
    if (bytes) std::copy(bytes->begin(), bytes->end(), plane.begin());
    return bytes.has_value();
  }
  auto const length = in.number();
  auto const bytes = length ? in.take(*length) : std::nullopt;
  if (!bytes) return false;
  if (coding == PlaneCoding::zstd) return zstd_decompress(*bytes, {}, plane);
  return coding == PlaneCoding::rans && rans_decode(*bytes, {}, plane, rans);
}

bool read_sparse(Cursor& in, std::span<std::uint8_t> plane, PartsScratch& scratch) {
  auto const common = in.byte();
  auto const others = in.number(), places = in.number();
  if (!common || !others || !places || *others == 0 || *places < *others || std::uint64_t{*places} + *others > plane.size() / kSparsePartMax) return false;
  scratch.sparse.resize(std::size_t{*places} + *others);
  auto const where = std::span(scratch.sparse).first(*places), what = std::span(scratch.sparse).subspan(*places);
  for (auto const part : {where, what}) {
    auto const coding = in.byte();
    if (!coding || !read_plain(in, static_cast<PlaneCoding>(*coding), part, scratch.rans)) return false;
  }
  std::fill(plane.begin(), plane.end(), *common);
  std::size_t at = 0, next = 0;
  for (auto const step : where) {
    at += step;
    if (step == kSparseMore) continue;
    if (at >= plane.size() || next == what.size()) return false;
    plane[at++] = what[next++];
  }
  return next == what.size();
}

/// One plane. @param above  the plane before it, or empty
bool read_plane(Cursor& in, PartGroup const& group, std::size_t index, std::size_t field, std::span<std::uint8_t> plane, BytesView above, BytesView base, PartsScratch& scratch) {
  auto const byte = in.byte();
  if (!byte) return false;
  auto const coding = static_cast<PlaneCoding>(*byte);
  if (coding <= PlaneCoding::rans && coding != PlaneCoding::zstd_base) return read_plain(in, coding, plane, scratch.rans);
  if (coding == PlaneCoding::sparse) return read_sparse(in, plane, scratch);
  BytesView contexts = above;
  if (coding == PlaneCoding::rans_base) {
    auto const shift = in.byte();
    if (!group.has_base || !shift || *shift >= 8 * group.fields[field].width) return false;
    scratch.contexts.resize(plane.size());
    base_contexts(group, index, field, *shift, scratch.parts, base, scratch.contexts);
    contexts = scratch.contexts;
  }
  auto const length = in.number();
  auto const bytes = length ? in.take(*length) : std::nullopt;
  if (!bytes) return false;
  if (coding == PlaneCoding::zstd_base) return !base.empty() && zstd_decompress(*bytes, base, plane);
  return coding <= PlaneCoding::rans_above && !contexts.empty() && rans_decode(*bytes, contexts, plane, scratch.rans);
}

/// The planes of one field, the highest first.
bool read_planes(Cursor& in, PartGroup const& group, std::size_t index, std::size_t field, std::span<std::uint8_t> planes, BytesView base, PartsScratch& scratch) {
  std::size_t const width = group.fields[field].width, count = planes.size() / width;
  for (std::size_t p = 0; p < width; ++p) {
    auto const above = p > 0 ? BytesView(planes).subspan((p - 1) * count, count) : BytesView{};
    if (!read_plane(in, group, index, field, planes.subspan(p * count, count), above, base, scratch)) return false;
  }
  return true;
}

}  // namespace

bool decode_parts(BytesView stored, BytesView base, std::span<std::uint8_t> out, PartsScratch& scratch) {
  Cursor in(stored);
  std::vector<PartGroup> groups;
  if (!read_groups(in, groups) || !read_parts(in, groups, base.size(), out.size(), scratch)) return false;
  scratch.planes.resize(out.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::size_t records = 0;
    for (auto const& part : scratch.parts)
      if (part.group == g) records += part.length / record_bytes(groups[g]);
    if (records == 0) return false;
    for (std::size_t f = 0; f < groups[g].fields.size(); ++f) {
      auto const planes = std::span(scratch.planes).first(records * groups[g].fields[f].count * groups[g].fields[f].width);
      if (!read_planes(in, groups[g], g, f, planes, base, scratch)) return false;
      merge_planes(groups[g], g, f, planes, scratch.parts, base, out);
    }
  }
  return in.done();
}

}  // namespace fleet::content
