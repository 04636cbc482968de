#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Values in PostgreSQL's binary formats (src/backend/utils/adt/*.c, `..send` and `..recv`): big-endian, no alignment.
namespace fleet::postgres {

/// Types that parameters and columns of ours have: their numbers in pg_type.
enum class Type : std::uint32_t {
  boolean = 16,
  bytea = 17,
  int8 = 20,
  int2 = 21,
  int4 = 23,
  text = 25,
  float4 = 700,
  float8 = 701,
  varchar = 1043,
  numeric = 1700,  ///< what sum() and avg() of int8 are
};
[[nodiscard]] std::string_view name_of(Type type);

/// A parameter as it is sent.
struct Value {
  std::string bytes;
  bool binary = true;  ///< else as people write it
};

// Nothing: the type does not take such a value. A number becomes a text where a text is asked for, as SQLite does it (`settings.value`).
[[nodiscard]] std::optional<Value> encode(Type type, std::int64_t value);
[[nodiscard]] std::optional<Value> encode(Type type, double value);
[[nodiscard]] std::optional<Value> encode(Type type, std::string_view value);
[[nodiscard]] std::optional<Value> encode(Type type, BytesView value);

// Of bytes that the server sent. Nothing: the column is none. A whole number is read from a fraction by cutting it off, and from a text as SQLite does: 0 where
// it is none.
[[nodiscard]] std::optional<std::int64_t> decode_int64(Type type, std::string_view bytes);
[[nodiscard]] std::optional<double> decode_real(Type type, std::string_view bytes);
[[nodiscard]] constexpr bool is_text(Type type) { return type == Type::text || type == Type::varchar; }

}  // namespace fleet::postgres
