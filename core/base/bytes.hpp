#pragma once

#include "core/base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fleet {

/// Bytes that somebody else owns.
using BytesView = std::span<std::uint8_t const>;
using Bytes = std::vector<std::uint8_t>;

[[nodiscard]] inline BytesView as_bytes(std::string_view text) { return {reinterpret_cast<std::uint8_t const*>(text.data()), text.size()}; }
[[nodiscard]] inline std::string_view as_text(BytesView bytes) { return {reinterpret_cast<char const*>(bytes.data()), bytes.size()}; }

/// Whole and in its shortest form, without surrogates (RFC 3629).
[[nodiscard]] bool is_utf8(std::string_view text);

/// SHA-256 of something. Compared and ordered as bytes, printed as 64 lower-case hex characters.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(Digest const&) const = default;
  [[nodiscard]] std::string hex() const;
  /// 64 hex characters, lower case only. @errors bad_input
  [[nodiscard]] static Result<Digest> parse(std::string_view hex);
  /// Exactly 32 bytes. @errors bad_input
  [[nodiscard]] static Result<Digest> from_bytes(BytesView bytes);
};

[[nodiscard]] std::string to_hex(BytesView bytes);
/// Lower-case or upper-case, an even count. @errors bad_input
[[nodiscard]] Result<Bytes> from_hex(std::string_view hex);
/// RFC 4648 section 4, padded.
[[nodiscard]] std::string to_base64(BytesView bytes);
/// Strict: padded, no white space, no stray bits. @errors bad_input
[[nodiscard]] Result<Bytes> from_base64(std::string_view text);
/// RFC 4648 section 5, without padding.
[[nodiscard]] std::string to_base64url(BytesView bytes);
[[nodiscard]] Result<Bytes> from_base64url(std::string_view text);

}  // namespace fleet
