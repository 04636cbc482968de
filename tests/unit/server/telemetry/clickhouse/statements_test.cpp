#include "server/telemetry/clickhouse/statements.hpp"
#include "server/telemetry/clickhouse/address.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <charconv>

using namespace fleet;
using namespace fleet::clickhouse;

namespace {

/// As ClickHouse reads a literal; nothing where it would have ended before, or goes on.
std::optional<std::string> read_literal(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != '\'' || literal.back() != '\'') return std::nullopt;
  literal = literal.substr(1, literal.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] == '\'' || literal[i] == '\0') return std::nullopt;
    if (literal[i] != '\\') {
      out.push_back(literal[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 4 > literal.size() || literal[i + 1] != 'x' || std::from_chars(&literal[i + 2], &literal[i + 4], value, 16).ptr != &literal[i + 4])
      return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 3;
  }
  return out;
}

}  // namespace

TEST_CASE("whatever a text holds, it is one literal that says the same") {
  CHECK(quote("accuracy") == "'accuracy'");
  CHECK(quote("a' OR '1'='1") == R"('a\x27 OR \x271\x27=\x271')");
  CHECK(quote("\\") == R"('\x5c')");
  CHECK(quote(std::string_view("\0\n", 2)) == R"('\x00\x0a')");
  CHECK(rc::check([](std::string const& text) { RC_ASSERT(read_literal(quote(text)) == std::optional(text)); }));
}

TEST_CASE("what is asked for gets into a statement by literals and numbers alone") {
  telemetry::Wanted wanted{.metric = "a'b", .model = "m') --", .version = "1\\"};
  wanted.since = SysTime{std::chrono::seconds{1'000}};
  wanted.step = std::chrono::minutes{5};
  auto const text = select_steps(wanted);
  CHECK(text.find("metric = 'a\\x27b' AND start >= toDateTime(1000, 'UTC') AND model = 'm\\x27) --' AND version = '1\\x5c' GROUP BY") != std::string::npos);
  CHECK(text.find("intDiv(toUInt32(start), 300) * 300") != std::string::npos);
  CHECK(text.find("sumMap") == std::string::npos);
  wanted.sketches = true;
  CHECK(select_steps(wanted).find("sumMap(bucket_keys, bucket_counts)") != std::string::npos);
  CHECK(old_months(SysTime{std::chrono::sys_days{std::chrono::year{2026} / 3 / 9}}).find("partition < '202603'") != std::string::npos);
}

TEST_CASE("an address says where, who and which database, and no password") {
  struct Case {
    std::string text, url, user, database;
  };
  for (auto const& one : std::vector<Case>{{"clickhouse://localhost/fleet", "http://localhost:8123/", "", "fleet"},
                                           {"clickhouse://fleet@10.0.0.7:9123/db-1", "http://10.0.0.7:9123/", "fleet", "db-1"},
                                           {"clickhouse://[::1]/fleet", "http://[::1]:8123/", "", "fleet"},
                                           {"clickhouse://[::1]:18123/fleet", "http://[::1]:18123/", "", "fleet"},
                                           {"clickhouse://a@ch.example.com/fleet?secure=true", "https://ch.example.com:8443/", "a", "fleet"}}) {
    CAPTURE(one.text);
    auto const address = parse_address(one.text);
    REQUIRE(address.has_value());
    CHECK(address->url == one.url);
    CHECK(address->user == one.user);
    CHECK(address->database == one.database);
    CHECK(address->secure == one.url.starts_with("https"));
  }
  for (auto const* const text : {"", "http://localhost/fleet", "clickhouse://", "clickhouse:///fleet", "clickhouse://localhost", "clickhouse://localhost/",
                                 "clickhouse://localhost:0/fleet", "clickhouse://localhost/a/b", "clickhouse://localhost/fleet?x=1",
                                 "clickhouse://localhost/a b", "clickhouse://@localhost/fleet", "clickhouse://a b@localhost/fleet"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text).has_value());
  }
  auto const told = parse_address("clickhouse://fleet:hunter2@localhost/fleet");
  REQUIRE_FALSE(told.has_value());
  CHECK(told.error().detail.find("hunter2") == std::string::npos);
  CHECK(told.error().detail.find("--telemetry-password-file") != std::string::npos);
}
