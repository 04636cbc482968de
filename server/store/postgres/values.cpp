#include "server/store/postgres/values.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace fleet::postgres {
namespace {

std::string big_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::uint64_t read_big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (char const byte : bytes) out = out << 8 | static_cast<std::uint8_t>(byte);
  return out;
}

std::int16_t short_at(std::string_view bytes, std::size_t index) { return static_cast<std::int16_t>(read_big_endian(bytes.substr(index * 2, 2))); }

/// A numeric as numeric_send has it: digits of base 10,000, the first of them times 10,000 to the `weight`.
struct Numeric {
  bool negative = false;
  int weight = 0;
  std::size_t count = 0;
  std::string_view digits;
  [[nodiscard]] int digit(int power) const {
    int const index = weight - power;
    return index >= 0 && static_cast<std::size_t>(index) < count ? short_at(digits, static_cast<std::size_t>(index)) : 0;
  }
};

std::optional<Numeric> read_numeric(std::string_view bytes) {
  constexpr std::size_t kHead = 8;  // how many digits, weight, sign, how many are shown
  constexpr std::int16_t kPositive = 0, kNegative = 0x4000;
  if (bytes.size() < kHead) return std::nullopt;
  auto const sign = short_at(bytes, 2);
  Numeric out{sign == kNegative, short_at(bytes, 1), static_cast<std::size_t>(short_at(bytes, 0)), bytes.substr(kHead)};
  if (out.digits.size() != out.count * 2 || (sign != kPositive && sign != kNegative)) return std::nullopt;  // NaN, Infinity
  return out;
}

/// Nothing: beyond 64 bits.
std::optional<std::int64_t> whole(Numeric const& number) {
  std::int64_t out = 0;
  for (int power = number.weight; power >= 0; --power)
    if (__builtin_mul_overflow(out, 10'000, &out) || __builtin_sub_overflow(out, number.digit(power), &out)) return std::nullopt;
  if (number.negative) return out;
  return out == std::numeric_limits<std::int64_t>::min() ? std::nullopt : std::optional(-out);
}

double real(Numeric const& number) {
  double out = 0;
  for (int i = 0; i < static_cast<int>(number.count); ++i) out += number.digit(number.weight - i) * std::pow(10'000.0, number.weight - i);
  return number.negative ? -out : out;
}

template <class T>
bool fits(std::int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

}  // namespace

std::string_view name_of(Type type) {
  switch (type) {
    case Type::boolean: return "boolean";
    case Type::bytea: return "bytea";
    case Type::int8: return "int8";
    case Type::int2: return "int2";
    case Type::int4: return "int4";
    case Type::text: return "text";
    case Type::float4: return "float4";
    case Type::float8: return "float8";
    case Type::varchar: return "varchar";
    case Type::numeric: return "numeric";
  }
  return "of another type";
}

std::optional<Value> encode(Type type, std::int64_t value) {
  switch (type) {
    case Type::int8: return Value{big_endian(static_cast<std::uint64_t>(value), 8)};
    case Type::int4: return fits<std::int32_t>(value) ? std::optional(Value{big_endian(static_cast<std::uint64_t>(value), 4)}) : std::nullopt;
    case Type::int2: return fits<std::int16_t>(value) ? std::optional(Value{big_endian(static_cast<std::uint64_t>(value), 2)}) : std::nullopt;
    case Type::boolean: return Value{std::string(1, value != 0 ? '\1' : '\0')};
    case Type::float4:
    case Type::float8: return encode(type, static_cast<double>(value));
    case Type::numeric:
    case Type::text:
    case Type::varchar: return Value{std::to_string(value), false};
    case Type::bytea: break;
  }
  return std::nullopt;
}

std::optional<Value> encode(Type type, double value) {
  switch (type) {
    case Type::float8: return Value{big_endian(std::bit_cast<std::uint64_t>(value), 8)};
    case Type::float4: return Value{big_endian(std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4)};
    case Type::numeric: return Value{fmt::format("{}", value), false};
    default: return std::nullopt;
  }
}

std::optional<Value> encode(Type type, std::string_view value) { return is_text(type) ? std::optional(Value{std::string(value)}) : std::nullopt; }

std::optional<Value> encode(Type type, BytesView value) {
  if (type != Type::bytea) return std::nullopt;
  return Value{std::string(reinterpret_cast<char const*>(value.data()), value.size())};
}

std::optional<std::int64_t> decode_int64(Type type, std::string_view bytes) {
  switch (type) {
    case Type::int8: return static_cast<std::int64_t>(read_big_endian(bytes));
    case Type::int4: return static_cast<std::int32_t>(read_big_endian(bytes));
    case Type::int2: return static_cast<std::int16_t>(read_big_endian(bytes));
    case Type::boolean: return bytes == std::string_view("\1", 1) ? 1 : 0;
    case Type::numeric: {
      auto const number = read_numeric(bytes);
      return number ? whole(*number) : std::nullopt;
    }
    case Type::float4:
    case Type::float8: return static_cast<std::int64_t>(*decode_real(type, bytes));
    case Type::text:
    case Type::varchar: {
      std::int64_t value = 0;
      std::from_chars(bytes.data(), bytes.data() + bytes.size(), value);
      return value;
    }
    case Type::bytea: break;
  }
  return std::nullopt;
}

std::optional<double> decode_real(Type type, std::string_view bytes) {
  switch (type) {
    case Type::float8: return std::bit_cast<double>(read_big_endian(bytes));
    case Type::float4: return std::bit_cast<float>(static_cast<std::uint32_t>(read_big_endian(bytes)));
    case Type::numeric: {
      auto const number = read_numeric(bytes);
      return number ? std::optional(real(*number)) : std::nullopt;
    }
    default: {
      auto const whole = decode_int64(type, bytes);
      return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
    }
  }
}

}  // namespace fleet::postgres
