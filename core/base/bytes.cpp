#include "core/base/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string encode(BytesView bytes, std::string_view alphabet, bool padded) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::size_t const have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16;
    if (have > 1) group |= static_cast<std::uint32_t>(bytes[i + 1]) << 8;
    if (have > 2) group |= bytes[i + 2];
    for (std::size_t k = 0; k <= have; ++k) out += alphabet[(group >> (18 - 6 * k)) & 63];
    if (padded) out.append(3 - have, '=');
  }
  return out;
}

Result<Bytes> decode(std::string_view text, std::string_view alphabet, bool padded) {
  Error const bad{Kind::bad_input, "bad_base64", fmt::format("{} characters are not valid base64", text.size())};
  if (padded) {
    if (text.size() % 4 != 0) return bad;
    if (text.ends_with("==")) text.remove_suffix(2);
    else if (text.ends_with("=")) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return bad;
  Bytes out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  int bits = 0;
  for (char const c : text) {
    auto const value = alphabet.find(c);
    if (value == std::string_view::npos) return bad;
    group = (group << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>((group >> bits) & 0xff));
    }
  }
  if ((group & ((1U << bits) - 1)) != 0) return bad;  // stray bits: two texts would decode to the same bytes
  return out;
}

}  // namespace

std::string to_hex(BytesView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (auto const b : bytes) {
    out += kHex[b >> 4];
    out += kHex[b & 15];
  }
  return out;
}

Result<Bytes> from_hex(std::string_view hex) {
  Error const bad{Kind::bad_input, "bad_hex", fmt::format("{} characters are not an even count of hex digits", hex.size())};
  if (hex.size() % 2 != 0) return bad;
  Bytes out(hex.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    int const high = hex_value(hex[2 * i]);
    int const low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return bad;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return out;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    auto const lead = static_cast<unsigned char>(text[at++]);
    if (lead < 0x80) continue;
    int const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - at < static_cast<std::size_t>(more)) return false;
    auto point = static_cast<std::uint32_t>(lead & (0x3f >> more));
    for (int i = 0; i < more; ++i) {
      auto const next = static_cast<unsigned char>(text[at++]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    constexpr std::array<std::uint32_t, 4> kLeast{0, 0x80, 0x800, 0x10000};
    if (point < kLeast[static_cast<std::size_t>(more)] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  }
  return true;
}

std::string Digest::hex() const { return to_hex(bytes); }

Result<Digest> Digest::parse(std::string_view hex) {
  bool const lower = std::none_of(hex.begin(), hex.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  auto const bytes = from_hex(hex);
  if (hex.size() != 64 || !lower || !bytes)
    return Error{Kind::bad_input, "bad_digest", fmt::format("'{}' is not a SHA-256", hex.substr(0, 80)), "64 hex characters, lower case"};
  return from_bytes(*bytes);
}

Result<Digest> Digest::from_bytes(BytesView bytes) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) return Error{Kind::bad_input, "bad_digest", fmt::format("a SHA-256 has 32 bytes, got {}", bytes.size())};
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

std::string to_base64(BytesView bytes) { return encode(bytes, kBase64, true); }
Result<Bytes> from_base64(std::string_view text) { return decode(text, kBase64, true); }
std::string to_base64url(BytesView bytes) { return encode(bytes, kBase64Url, false); }
Result<Bytes> from_base64url(std::string_view text) { return decode(text, kBase64Url, false); }

}  // namespace fleet
