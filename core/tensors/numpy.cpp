#include "core/tensors/formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace fleet::tensors {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kHeaderBytesMax = 64 << 10;
/// Little-endian dtypes; V2 is how bfloat16 of ml_dtypes is written.
constexpr auto kTypes = std::to_array<std::pair<std::string_view, Type>>({{"<f4", Type::f32}, {"<f8", Type::f64}, {"<f2", Type::f16}, {"|i1", Type::i8},  {"|u1", Type::i8},
                                                                          {"|b1", Type::i8},  {"<i2", Type::i16}, {"<u2", Type::i16}, {"<i4", Type::i32}, {"<u4", Type::i32},
                                                                          {"<i8", Type::i64}, {"<u8", Type::i64}, {"<V2", Type::bf16}, {"|V2", Type::bf16}});
constexpr std::uint32_t kDirectoryEntry = 0x02014b50, kLocalHeader = 0x04034b50;
constexpr std::uint64_t kEndBytes = 22, kCommentBytesMax = 65'535, kEntryBytes = 46, kLocalBytes = 30;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kInZip64 = 0xffff'ffff;

/// What follows `'key':` in a header, which is the text of a Python dictionary.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key) {
  auto const at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return {};
  auto out = header.substr(at + key.size() + 3);
  out.remove_prefix(std::min(out.find_first_not_of(' '), out.size()));
  return out;
}

std::optional<std::vector<std::uint64_t>> shape_of(std::string_view text) {
  if (!text.starts_with('(')) return {};
  auto const* at = text.data() + 1;
  auto const* const end = text.data() + text.size();
  std::vector<std::uint64_t> out;
  for (;;) {
    while (at != end && (*at == ' ' || *at == ',')) ++at;
    if (at == end) return {};
    if (*at == ')') return out;
    std::uint64_t size = 0;
    auto const [next, fault] = std::from_chars(at, end, size);
    if (fault != std::errc{} || out.size() == kDimensionsMax) return {};
    out.push_back(size);
    at = next;
  }
}

/// One file of a ZIP archive.
struct Entry {
  std::string name;
  bool is_stored = false;
  std::uint64_t size = 0, header = 0;
};

/// Sizes that do not fit 32 bits stand in an extra field, in this order: size, compressed size, offset; only those that do not fit.
Result<void> read_zip64(Reading& in, std::uint64_t at, std::uint64_t end, std::uint32_t packed, Entry& entry) {
  while (at + 4 <= end) {
    FLEET_TRY(auto const id, in.u16(at));
    FLEET_TRY(auto const length, in.u16(at + 2));
    auto field = at + 4;
    at = field + length;
    if (id != kZip64Extra || at > end) continue;
    if (entry.size == kInZip64) {
      FLEET_TRY(entry.size, in.u64(field));
      field += 8;
    }
    if (packed == kInZip64) field += 8;
    if (entry.header == kInZip64) {
      FLEET_TRY(entry.header, in.u64(field));
    }
  }
  return {};
}

Result<Entry> read_entry(Reading& in, std::uint64_t& at) {
  FLEET_TRY(auto const mark, in.u32(at));
  if (mark != kDirectoryEntry) return in.bad(at, "no entry of the directory");
  Entry entry;
  FLEET_TRY(auto const method, in.u16(at + 10));
  FLEET_TRY(auto const packed, in.u32(at + 20));
  FLEET_TRY(entry.size, in.u32(at + 24));
  FLEET_TRY(auto const name, in.u16(at + 28));
  FLEET_TRY(auto const extra, in.u16(at + 30));
  FLEET_TRY(auto const comment, in.u16(at + 32));
  FLEET_TRY(entry.header, in.u32(at + 42));
  entry.is_stored = method == 0;
  FLEET_TRY(entry.name, in.text(at + kEntryBytes, std::min<std::uint64_t>(name, kNameBytesMax)));
  auto const extras = at + kEntryBytes + name;
  FLEET_CHECK(read_zip64(in, extras, extras + extra, packed, entry));
  at = extras + extra + comment;
  return entry;
}

/// Where the directory ends: its end record is the last, but for a comment.
Result<std::uint64_t> find_end(Reading& in) {
  if (in.size() < kEndBytes) return in.bad(0, "it is too short");
  auto const least = in.size() - std::min(in.size(), kEndBytes + kCommentBytesMax);
  FLEET_TRY(auto const tail, in.text(least, in.size() - least));
  auto const at = tail.rfind("PK\x05\x06");
  if (at == std::string::npos || least + at + kEndBytes > in.size()) return in.bad(least, "the directory's end is not there");
  return least + at;
}

}  // namespace

Result<Tensor> read_npy(Reading& in, std::uint64_t begin, std::uint64_t end) {
  if (end > in.size() || begin > end || end - begin < 10) return in.bad(begin, "it is too short");
  FLEET_TRY(auto const magic, in.text(begin, kMagic.size()));
  if (magic != kMagic) return in.bad(begin, "it does not begin as an array");
  FLEET_TRY(auto const version, in.u16(begin + 6));
  auto const is_first = version % 256 == 1;
  std::uint64_t length = 0;
  if (is_first) {
    FLEET_TRY(length, in.u16(begin + 8));
  } else {
    FLEET_TRY(length, in.u32(begin + 8));
  }
  auto const data = begin + (is_first ? 10 : 12) + length;
  if (length > kHeaderBytesMax || data > end) return in.bad(begin + 8, "the header is too long");
  FLEET_TRY(auto const header, in.text(data - length, length));
  auto const type = value_of(header, "descr"), sizes = value_of(header, "shape");
  auto const shape = sizes ? shape_of(*sizes) : std::nullopt;
  if (!type || !shape) return in.bad(begin, "type or shape are missing");
  Tensor out{{}, Type::bytes, *shape, data, end - data};
  for (auto const& [name, known] : kTypes)
    if (type->size() > 5 && type->substr(1, 3) == name && ((*type)[0] == '\'' || (*type)[0] == '"')) out.type = known;
  return out;
}

Result<std::vector<Tensor>> read_npz(Reading& in) {
  FLEET_TRY(auto const mark, in.u32(0));
  if (mark != kLocalHeader) return in.bad(0, "it does not begin as an archive");
  FLEET_TRY(auto const end, find_end(in));
  FLEET_TRY(auto const count, in.u16(end + 10));
  FLEET_TRY(auto const start, in.u32(end + 16));
  std::vector<Tensor> out;
  std::uint64_t at = start;
  for (std::uint16_t i = 0; i < count; ++i) {
    FLEET_TRY(auto const entry, read_entry(in, at));
    if (!entry.is_stored || !entry.name.ends_with(".npy")) continue;
    if (entry.header > in.size()) return in.bad(at, "an array lies nowhere");
    FLEET_TRY(auto const name, in.u16(entry.header + 26));
    FLEET_TRY(auto const extra, in.u16(entry.header + 28));
    auto const begin = entry.header + kLocalBytes + name + extra;
    if (begin > in.size() || entry.size > in.size() - begin) return in.bad(at, "an array lies nowhere");
    auto array = read_npy(in, begin, begin + entry.size);
    if (!array && array.error().kind == Kind::io) return array.error();
    if (!array) continue;
    array->name = entry.name;
    out.push_back(*std::move(array));
  }
  return out;
}

}  // namespace fleet::tensors
