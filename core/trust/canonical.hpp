#pragma once

#include "core/base/bytes.hpp"

#include <boost/json/value.hpp>

#include <string>

/// JSON as signatures cover it: the canonical form that securesystemslib emits (not RFC 8785). For .cpp files.
namespace fleet::trust {

/// Parses untrusted JSON strictly: one document of at most `limit_bytes`, 32 levels, UTF-8 without lone surrogates, no key twice, whole
/// numbers within int64 only (no fraction, no exponent).
/// @errors bad_input, too_large
[[nodiscard]] Result<boost::json::value> parse_strict(BytesView text, std::uint64_t limit_bytes);

/// Keys sorted by code point, no white space, only `\` and `"` escaped, everything else raw.
/// @param value  from parse_strict, or composed of the same kinds
[[nodiscard]] std::string canonical(boost::json::value const& value);

/// The same as a file: JSON (RFC 8259), which also escapes control characters, such as the line ends of a key in PEM.
[[nodiscard]] std::string json_file(boost::json::value const& value);

}  // namespace fleet::trust
