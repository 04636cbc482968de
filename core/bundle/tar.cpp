#include "core/bundle/tar.hpp"

#include "core/base/fs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace fleet::bundle {
namespace {

/// A field of a header: where it begins, how long it is.
struct Field {
  std::size_t at, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUser{108, 8}, kGroup{116, 8}, kSize{124, 12}, kTime{136, 12}, kSum{148, 8}, kKind{156, 1}, kLink{157, 100}, kMagic{257, 8},
    kPrefix{345, 155};
constexpr std::string_view kUstar{"ustar\00000", 8};
constexpr std::uint64_t kOctalMax = std::uint64_t{1} << 33U;  ///< eleven digits
constexpr std::uint8_t kBase256 = 0x80;

Error bad_tar(std::string detail) { return {Kind::bad_input, "bad_tar", "no tar of plain files: " + std::move(detail)}; }

bool is_plain_name(std::string_view name) {
  return is_safe_relative_path(name) && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// Of all bytes, the sum's own counted as spaces.
unsigned checksum(BytesView block) {
  constexpr unsigned kSpaces = kSum.size * ' ';
  auto const sum = std::accumulate(block.begin(), block.end(), 0U);
  return sum - std::accumulate(block.begin() + kSum.at, block.begin() + kSum.at + kSum.size, 0U) + kSpaces;
}

BytesView field(BytesView block, Field const& where) { return block.subspan(where.at, where.size); }

/// Up to the first NUL; nothing where more than NULs follows.
std::optional<std::string_view> text_of(BytesView bytes) {
  auto const text = as_text(bytes);
  auto const end = std::min(text.find('\0'), text.size());
  if (text.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
  return text.substr(0, end);
}

/// Octal digits, ended by a NUL or a space.
std::optional<std::uint64_t> octal_of(BytesView bytes) {
  std::uint64_t value = 0;
  std::size_t digits = 0;
  for (; digits < bytes.size() && bytes[digits] >= '0' && bytes[digits] <= '7'; ++digits) value = value * 8 + (bytes[digits] - '0');
  auto const is_end = [](std::uint8_t c) { return c == 0 || c == ' '; };
  if (digits == 0 || !std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(digits), bytes.end(), is_end)) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> size_of(BytesView bytes) {
  if (bytes[0] != kBase256) return octal_of(bytes);
  constexpr std::size_t kLow = sizeof(std::uint64_t);
  auto const high = bytes.subspan(1, bytes.size() - 1 - kLow);
  if (std::any_of(high.begin(), high.end(), [](std::uint8_t c) { return c != 0; })) return std::nullopt;
  std::uint64_t value = 0;
  for (auto const byte : bytes.last(kLow)) value = value << 8U | byte;
  return value;
}

std::string size_field(std::uint64_t size) {
  if (size < kOctalMax) return fmt::format("{:011o}", size);
  std::string out(kSize.size, '\0');
  out[0] = static_cast<char>(kBase256);
  for (std::size_t i = 0; i < sizeof size; ++i) out[kSize.size - 1 - i] = static_cast<char>(size >> (8 * i) & 0xffU);
  return out;
}

}  // namespace

Result<std::string> tar_header(std::string_view name, std::uint64_t size, unsigned permissions) {
  auto prefix = std::string_view();
  auto rest = name;
  if (name.size() > kName.size) {
    auto const slash = name.find('/', name.size() - kName.size - 1);
    if (slash == std::string_view::npos || slash == 0 || slash > kPrefix.size)
      return Error{Kind::bad_input, "bad_name", fmt::format("'{}' is too long for a tar", name.substr(0, 300))};
    prefix = name.substr(0, slash);
    rest = name.substr(slash + 1);
  }
  if (!is_plain_name(name)) return Error{Kind::bad_input, "bad_name", fmt::format("'{}' is no name for a file of a tar", name.substr(0, 300))};
  std::string out(kTarBlock, '\0');
  auto const put = [&out](Field const& where, std::string_view text) { std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(where.at)); };
  put(kName, rest);
  put(kMode, fmt::format("{:07o}", permissions & 0777U));
  put(kUser, "0000000");
  put(kGroup, "0000000");
  put(kSize, size_field(size));
  put(kTime, "00000000000");
  put(kKind, "0");
  put(kMagic, kUstar);
  put(kPrefix, prefix);
  put(kSum, fmt::format("{:06o}", checksum(as_bytes(out))) + std::string("\0 ", 2));
  return out;
}

Result<std::optional<TarEntry>> read_tar_header(BytesView block) {
  if (block.size() != kTarBlock) return bad_tar(fmt::format("a header has {} bytes, got {}", kTarBlock, block.size()));
  if (std::all_of(block.begin(), block.end(), [](std::uint8_t c) { return c == 0; })) return std::optional<TarEntry>{};
  if (as_text(field(block, kMagic)) != kUstar) return bad_tar("the header is not ustar's");
  if (octal_of(field(block, kSum)) != checksum(block)) return bad_tar("the checksum of a header does not fit");
  if (auto const kind = block[kKind.at]; kind != '0' && kind != 0) return bad_tar(fmt::format("an entry of kind {:#x}; only regular files are taken", kind));
  auto const name = text_of(field(block, kName)), prefix = text_of(field(block, kPrefix)), link = text_of(field(block, kLink));
  auto const size = size_of(field(block, kSize));
  if (!name || !prefix || !link || !link->empty() || !size) return bad_tar("a header's fields are damaged");
  TarEntry out{prefix->empty() ? std::string(*name) : fmt::format("{}/{}", *prefix, *name), *size};
  if (!is_plain_name(out.name)) return bad_tar("an entry has an unsafe name");
  return std::optional(std::move(out));
}

Result<std::string> tar_file(std::string_view name, std::string_view content, unsigned permissions) {
  FLEET_TRY(auto out, tar_header(name, content.size(), permissions));
  out += content;
  out.append(static_cast<std::size_t>(tar_padding(content.size())), '\0');
  return out;
}

}  // namespace fleet::bundle
