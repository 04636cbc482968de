#include "server/telemetry/clickhouse/row_binary.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <limits>

using namespace fleet;
using namespace fleet::clickhouse;

namespace {

rc::Gen<Row> rows() {
  return rc::gen::exec([] {
    Row row;
    for (auto* const text : {&row.metric, &row.model, &row.version, &row.hardware, &row.labels})
      *text = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
    row.start_s = *rc::gen::arbitrary<std::uint32_t>();
    row.flush = *rc::gen::arbitrary<std::uint64_t>();
    row.samples = *rc::gen::arbitrary<std::uint64_t>();
    for (auto* const value : {&row.total, &row.least, &row.most}) *value = *rc::gen::arbitrary<double>();
    row.buckets = *rc::gen::container<Buckets>(rc::gen::inRange(-2'001, 2'001), rc::gen::inRange<std::int64_t>(1, std::numeric_limits<std::int64_t>::max()));
    return row;
  });
}

}  // namespace

TEST_CASE("rows come back as they were written, in whatever pieces they arrive") {
  CHECK(rc::check([] {
    auto const written = *rc::gen::container<std::vector<Row>>(rows());
    std::string bytes;
    for (auto const& row : written) append(bytes, row);
    Reader reader;
    std::vector<Row> read;
    while (!bytes.empty()) {
      auto const length = std::min(bytes.size(), *rc::gen::inRange<std::size_t>(1, 400));
      reader.feed(as_bytes(bytes.substr(0, length)));
      bytes.erase(0, length);
      while (true) {
        auto const row = reader.row();
        RC_ASSERT(row.has_value());
        if (!*row) break;
        read.push_back(**row);
      }
    }
    RC_ASSERT(reader.end().has_value());
    RC_ASSERT(read == written);
  }));
}

TEST_CASE("a row is written as ClickHouse documents it") {
  std::string bytes;
  append(bytes, {.metric = "a",
                 .model = "",
                 .version = "1",
                 .hardware = "h",
                 .labels = "{}",
                 .start_s = 0x01020304,
                 .flush = 5,
                 .samples = 258,
                 .total = 1,
                 .least = 0,
                 .most = 0,
                 .buckets = {{-1, 2}}});
  std::string const one("\0\0\0\0\0\0\xf0\x3f", 8), zero(8, '\0');
  std::string const expected = std::string(
                                   "\1a\0\1"
                                   "1\1h\2{}",
                                   10) +
                               std::string("\4\3\2\1", 4) + std::string("\5\0\0\0\0\0\0\0", 8) + std::string("\2\1\0\0\0\0\0\0", 8) + one + zero + zero +
                               std::string("\1\xff\xff\xff\xff", 5) + std::string("\1\2\0\0\0\0\0\0\0", 9);
  CHECK(to_hex(as_bytes(bytes)) == to_hex(as_bytes(expected)));
}

TEST_CASE("an answer that is none of ours, or ends within a row, is told as such") {
  Reader reader;
  reader.feed(as_bytes("Code: 241, e.displayText() = DB::Exception: Memory limit exceeded"));
  auto const part = reader.step();
  CHECK((!part.has_value() || !part->has_value()));
  CHECK_FALSE(reader.end().has_value());
  Reader endless;
  endless.feed(as_bytes(std::string("\xff\xff\xff\xff\xff\x01", 6)));
  REQUIRE_FALSE(endless.step().has_value());
  CHECK(endless.step().error().code == "bad_answer");
  std::string bytes;
  append(bytes, {.metric = "a", .model = {}, .version = {}, .hardware = {}, .labels = "{}"});
  bytes.back() = '\1';  // one count, no key
  Reader uneven;
  uneven.feed(as_bytes(bytes + std::string(8, '\0')));
  CHECK_FALSE(uneven.row().has_value());
}

TEST_CASE("a count beyond what is counted in, or a text longer than any, is refused and not taken") {
  std::string bytes;
  append(bytes, {.metric = "a", .model = {}, .version = {}, .hardware = {}, .labels = "{}", .buckets = {{1, -1}}});
  Reader reader;
  reader.feed(as_bytes(bytes));
  CHECK_FALSE(reader.row().has_value());
  Reader longer;
  longer.feed(as_bytes(std::string("\xff\xff\x7f", 3)));  // 2 MiB of name
  CHECK_FALSE(longer.row().has_value());
}
