#pragma once

#include <cstdint>
#include <string>

/// Protobuf by hand, for models as small as a test needs.
namespace fleet::inspect::testing {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
inline std::string field(std::uint64_t number, std::uint64_t value) { return varint(number << 3) + varint(value); }
inline std::string field(std::uint64_t number, std::string const& bytes) { return varint(number << 3 | 2) + varint(bytes.size()) + bytes; }
/// A model of ir_version 8 and opset 17 with one output, and what `graph` has besides.
inline std::string model_with(std::string const& graph) { return field(1, 8) + field(7, graph + field(12, field(1, std::string("y")))) + field(8, field(2, 17)); }

}  // namespace fleet::inspect::testing
