#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"
#include "core/base/names.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <set>

using namespace fleet;

TEST_CASE("durations read what they write and refuse the rest") {
  struct Row {
    std::string_view text;
    std::int64_t ms;
  };
  for (auto const& [text, ms] :
       std::to_array<Row>({{"250ms", 250}, {"30s", 30'000}, {"5m", 300'000}, {"6h", 21'600'000}, {"90d", 7'776'000'000}, {"1h30m", 5'400'000}, {"0", 0}})) {
    CAPTURE(text);
    auto const length = parse_duration(text);
    REQUIRE(length.has_value());
    CHECK(length->count() == ms);
    CHECK(parse_duration(to_string(*length))->count() == ms);
  }
  for (std::string_view const text : {"", "5", "m", "-5m", "5 m", "5x", "99999999999999999999s", "40000d", "1.5h"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
  }
}

TEST_CASE("times are RFC 3339 in UTC") {
  auto const at = parse_rfc3339("2026-11-20T09:30:05.250Z");
  REQUIRE(at.has_value());
  CHECK(to_rfc3339(*at) == "2026-11-20T09:30:05Z");
  CHECK(to_rfc3339(*at, true) == "2026-11-20T09:30:05.250Z");
  CHECK(parse_rfc3339("1969-12-31T23:59:59Z")->time_since_epoch().count() == -1000);
  for (std::string_view const text : {"2026-02-30T00:00:00Z", "2026-11-20 09:30:05Z", "2026-11-20T25:00:00Z", "2026-11-20T09:30:05",
                                      "2026-11-20T09:30:05+01:00", "2026-11-20T09:30:05.Z", ""}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text).has_value());
  }
}

TEST_CASE("base64 of RFC 4648, strict both ways") {
  struct Row {
    std::string_view plain, padded, url;
  };
  for (auto const& [plain, padded, url] : std::to_array<Row>({{"", "", ""},
                                                              {"f", "Zg==", "Zg"},
                                                              {"fo", "Zm8=", "Zm8"},
                                                              {"foo", "Zm9v", "Zm9v"},
                                                              {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                                                              {"\xff\xfe", "//4=", "__4"}})) {
    CAPTURE(plain);
    CHECK(to_base64(as_bytes(plain)) == padded);
    CHECK(to_base64url(as_bytes(plain)) == url);
    CHECK(as_text(*from_base64(padded)) == plain);
    CHECK(as_text(*from_base64url(url)) == plain);
  }
  for (std::string_view const text : {"Zg", "Zh==", "Zm9v\n", "Z===", "Zg==Zg==", "____"}) {
    CAPTURE(text);
    CHECK_FALSE(from_base64(text).has_value());
  }
}

TEST_CASE("a digest is 64 lower-case hex characters") {
  auto const text = std::string(62, '0') + "ab";
  CHECK(Digest::parse(text)->hex() == text);
  CHECK_FALSE(Digest::parse(std::string(62, '0') + "AB").has_value());
  CHECK_FALSE(Digest::parse("ab").has_value());
}

TEST_CASE("paths of a release stay inside its folder") {
  for (std::string_view const path : {"model.onnx", "a/b/c", "..a/b", "a/.b"}) {
    CAPTURE(path);
    CHECK(is_safe_relative_path(path));
  }
  for (std::string_view const path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a/.", "a\\b"}) {
    CAPTURE(path);
    CHECK_FALSE(is_safe_relative_path(path));
  }
  CHECK_FALSE(is_safe_relative_path(std::string_view("a\0b", 3)));
}

TEST_CASE("a file's name is refused for what is wrong with it, and for nothing else") {
  struct Row {
    std::string name;
    std::string_view says;  ///< empty: it is taken
  };
  std::string const long_part(255, 'x');
  for (auto const& [name, says] : std::vector<Row>{
           {"a b.bin", ""},
           {"modell-\xc3\xbc.bin", ""},
           {"modell-u\xcc\x88.bin", ""},
           {"\xe6\xa8\xa1\xe5\x9e\x8b/\xf0\x9f\x98\x80", ""},
           {"it's \"x\".bin", ""},
           {"100%25.bin", ""},
           {"-n", ""},
           {".hidden", ""},
           {long_part + "/" + long_part, ""},
           {"latin-\xfc.bin", "not UTF-8"},
           {"cut-\xe6\xa8", "not UTF-8"},
           {"overlong-\xc0\xaf", "not UTF-8"},
           {"surrogate-\xed\xa0\x80", "not UTF-8"},
           {"above-\xf4\x90\x80\x80", "not UTF-8"},
           {"line\nbreak", "control character"},
           {std::string("nul\0x", 5), "control character"},
           {"c1-\xc2\x9b", "control character"},
           {"back\\slash", "backslash"},
           {"", "relative path"},
           {"/etc/x", "relative path"},
           {"a//b", "relative path"},
           {"a/../b", "relative path"},
           {"a/", "relative path"},
           {long_part + "x", "256 bytes, at most 255"},
           {long_part + "/" + long_part + "/" + long_part + "/" + long_part + "/x", "1025 bytes"},
       }) {
    CAPTURE(name);
    auto const checked = check_file_name(name);
    CHECK(checked.has_value() == says.empty());
    if (!checked) CHECK_MESSAGE(checked.error().detail.find(says) != std::string::npos, checked.error().detail);
  }
}

TEST_CASE("names follow the protocol") {
  CHECK(check_model_name("meter-reader.v2").has_value());
  CHECK_FALSE(check_model_name("Meter").has_value());
  CHECK_FALSE(check_model_name(std::string(65, 'a')).has_value());
  CHECK(check_version_name("2.0.0-rc.1+build").has_value());
  CHECK_FALSE(check_version_name("latest").has_value());
  CHECK_FALSE(check_version_name("a/b").has_value());
}

TEST_CASE("a seed gives the same randomness again, and ULIDs sort by time") {
  SeededRandom a(7), b(7), c(8);
  CHECK(a.next() == b.next());
  CHECK(a.next() != c.next());
  std::set<std::string> ids;
  for (std::int64_t at = 1; at < 1000; ++at) ids.insert(make_ulid("r", at * 1000, a));
  CHECK(ids.size() == 999);
  CHECK(make_ulid("", 1, a) < make_ulid("", 2'000'000'000'000, a));
  CHECK(make_ulid("r-", 5, a).size() == 28);
}

TEST_CASE("the machine's file system replaces files whole and never follows links when it removes") {
  auto& fs = system_fs();
  auto const dir = std::filesystem::temp_directory_path() / ("fleet-base-" + std::to_string(system_random().next()));
  auto const root = dir.string();
  REQUIRE(fs.make_dirs(root + "/a/b").has_value());
  REQUIRE(fs.replace(root + "/a/file", "one").has_value());
  REQUIRE(fs.replace(root + "/a/file", "two").has_value());
  CHECK(*fs.read(root + "/a/file", 3) == "two");
  CHECK(fs.read(root + "/a/file", 2).error().kind == Kind::too_large);
  CHECK(fs.read(root + "/none", 2).error().kind == Kind::not_found);
  REQUIRE(fs.symlink("a", root + "/link").has_value());
  CHECK(fs.info(root + "/link")->type == FileInfo::Type::link);
  CHECK(fs.symlink("a", root + "/link").error().kind == Kind::conflict);
  REQUIRE(fs.make_dirs(root + "/gone").has_value());
  REQUIRE(fs.symlink(root + "/a", root + "/gone/link").has_value());
  CHECK_FALSE(fs.symlink("a", root + "/gone/link/more").has_value());  // through no link
  REQUIRE(fs.remove_tree(root + "/gone").has_value());
  CHECK(*fs.read(root + "/a/file", 10) == "two");
  CHECK(fs.list(root)->size() == 2);
  CHECK(fs.remove_tree(root).has_value());
  CHECK(fs.info(root).error().kind == Kind::not_found);
}
