#include "server/store/postgres/values.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace fleet;
using namespace fleet::postgres;

namespace {

/// As numeric_send writes it.
std::string numeric(int weight, int sign, std::initializer_list<int> digits) {
  std::string out;
  auto const put = [&](int value) {
    out += static_cast<char>(value >> 8 & 0xff);
    out += static_cast<char>(value & 0xff);
  };
  put(static_cast<int>(digits.size()));
  put(weight);
  put(sign);
  put(0);
  for (int const digit : digits) put(digit);
  return out;
}

constexpr int kNegative = 0x4000, kNaN = 0xc000;

}  // namespace

TEST_CASE("a whole number is sent as its parameter's type, and comes back") {
  for (auto const value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{255}, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    auto const sent = encode(Type::int8, value);
    REQUIRE(sent.has_value());
    CHECK(sent->bytes.size() == 8);
    CHECK(decode_int64(Type::int8, sent->bytes) == value);
  }
  CHECK(encode(Type::int8, std::int64_t{258})->bytes == std::string("\0\0\0\0\0\0\1\2", 8));
  for (auto const type : {Type::int4, Type::int2}) CHECK(decode_int64(type, encode(type, std::int64_t{-5})->bytes) == -5);
  CHECK_FALSE(encode(Type::int4, std::int64_t{1} << 31).has_value());
  CHECK_FALSE(encode(Type::int2, std::int64_t{1} << 15).has_value());
  CHECK(encode(Type::boolean, std::int64_t{7})->bytes == "\1");
  CHECK(encode(Type::text, std::int64_t{-12})->bytes == "-12");
  CHECK(encode(Type::numeric, std::int64_t{12})->binary == false);
  CHECK(decode_real(Type::float8, encode(Type::float8, std::int64_t{3})->bytes) == 3.0);
  CHECK_FALSE(encode(Type::bytea, std::int64_t{1}).has_value());
}

TEST_CASE("fractions, texts and bytes fit their own types alone") {
  CHECK(decode_real(Type::float8, encode(Type::float8, -0.25)->bytes) == -0.25);
  CHECK(decode_real(Type::float4, encode(Type::float4, 0.5)->bytes) == 0.5);
  CHECK_FALSE(encode(Type::int8, 0.5).has_value());
  CHECK(encode(Type::text, std::string_view("a"))->bytes == "a");
  CHECK_FALSE(encode(Type::int8, std::string_view("1")).has_value());
  std::uint8_t const raw[] = {0, 255};
  CHECK(encode(Type::bytea, BytesView(raw))->bytes == std::string("\0\xff", 2));
  CHECK_FALSE(encode(Type::text, BytesView(raw)).has_value());
  CHECK_FALSE(decode_int64(Type::bytea, "12345678").has_value());
  CHECK_FALSE(decode_real(Type::bytea, "12345678").has_value());
}

TEST_CASE("a number is read from what sums, averages and settings are") {
  CHECK(decode_int64(Type::numeric, numeric(0, 0, {})) == 0);
  CHECK(decode_int64(Type::numeric, numeric(1, 0, {1, 2345})) == 12'345);
  CHECK(decode_int64(Type::numeric, numeric(2, 0, {1})) == 100'000'000);  // zeros at the end are not sent
  CHECK(decode_int64(Type::numeric, numeric(0, kNegative, {7, 5000})) == -7);
  CHECK(decode_int64(Type::numeric, numeric(4, 0, {922, 3372, 368, 5477, 5807})) == std::numeric_limits<std::int64_t>::max());
  CHECK(decode_int64(Type::numeric, numeric(4, kNegative, {922, 3372, 368, 5477, 5808})) == std::numeric_limits<std::int64_t>::min());
  CHECK_FALSE(decode_int64(Type::numeric, numeric(4, 0, {922, 3372, 368, 5477, 5808})).has_value());
  CHECK_FALSE(decode_int64(Type::numeric, numeric(30, 0, {1})).has_value());
  CHECK(decode_real(Type::numeric, numeric(0, kNegative, {7, 5000})) == doctest::Approx(-7.5));
  CHECK(decode_real(Type::numeric, numeric(-1, 0, {2500})) == doctest::Approx(0.25));
  CHECK_FALSE(decode_real(Type::numeric, numeric(0, kNaN, {})).has_value());
  CHECK_FALSE(decode_int64(Type::numeric, numeric(1, 0, {1, 2345}).substr(0, 11)).has_value());
  CHECK_FALSE(decode_int64(Type::numeric, "").has_value());
  CHECK(decode_int64(Type::text, "1700") == 1700);
  CHECK(decode_int64(Type::text, "of no number") == 0);
  CHECK(decode_int64(Type::boolean, "\1") == 1);
  CHECK(decode_real(Type::int8, encode(Type::int8, std::int64_t{9})->bytes) == 9.0);
}
