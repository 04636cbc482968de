#include "core/wire/release.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::wire;

namespace {

std::string body_of(int files, int name_bytes, std::string_view rest = "") {
  std::string list;
  for (int i = 0; i < files; ++i)
    list += fmt::format(R"({}{{"name":"{:0>{}}","size":1,"sha256":"{}"}})", i == 0 ? "" : ",", i, name_bytes, std::string(64, 'a'));
  return fmt::format(R"({{"version":"1","variants":[{{"hardware":["a"],"files":[{}]}}]{}}})", list, rest);
}

}  // namespace

TEST_CASE("a publication is refused when its release.json would be over the protocol's limit, with what a file costs") {
  auto const fits = decode_wanted_release("m", body_of(7'500, 40));
  REQUIRE_MESSAGE(fits.has_value(), fits.error().detail);
  CHECK(encode(*fits).size() < 1024 * 1024);
  auto const refused = decode_wanted_release("m", body_of(10'000, 40));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "release_too_large");
  CHECK_MESSAGE(refused.error().detail.find("10000 files, 137 bytes for each") != std::string::npos, refused.error().detail);
  CHECK(decode_wanted_release("m", body_of(10'001, 1)).error().code != "release_too_large");
}

TEST_CASE("release.json says of a file that it is executable, and leaves out that it is not") {
  auto const release = decode_wanted_release("m", body_of(1, 5)).value();
  CHECK(encode(release).find("executable") == std::string::npos);
  auto executable = release;
  executable.variants[0].files[0].executable = true;
  CHECK(encode(executable).find(R"("executable":true)") != std::string::npos);
  CHECK(decode_release(encode(executable)).value().variants[0].files[0].executable);
  CHECK_FALSE(decode_release(encode(release)).value().variants[0].files[0].executable);
}

TEST_CASE("folders that hold no file are kept, and clash with no file") {
  auto const with = [](std::string_view folders) {
    return R"({"version":"1","variants":[{"hardware":["a"],"files":[{"name":"a/b","size":1,"sha256":")" + std::string(64, 'a') + R"("}],"folders":)" +
           std::string(folders) + "}]}";
  };
  auto const release = decode_wanted_release("m", with(R"(["assets","a/c"])")).value();
  CHECK(decode_release(encode(release)).value().variants[0].folders == std::vector<std::string>{"assets", "a/c"});
  for (auto const* const wrong : {R"(["a/b"])", R"(["a/b/c"])", R"(["../x"])", R"(["/x"])", R"([""])", R"([1])", R"("x")"}) {
    CAPTURE(wrong);
    CHECK_FALSE(decode_wanted_release("m", with(wrong)).has_value());
  }
}

TEST_CASE("a runtime rule with a slip is refused when it is written, and kept where a newer server signed it") {
  auto const refused = decode_wanted_release("m", body_of(1, 5, R"(,"manifest":{"match":{"runtime":"tensorrt=8.6"}})"));
  REQUIRE_FALSE(refused.has_value());
  REQUIRE(refused.error().errors.size() == 1);
  CHECK(refused.error().errors[0].pointer == "/manifest/match/runtime");
  auto release = decode_wanted_release("m", body_of(1, 5, R"(,"manifest":{"match":{"runtime":"tensorrt >= 8.6, < 8.7"}})")).value();
  CHECK(release.manifest.match.runtime == "tensorrt >= 8.6, < 8.7");
  release.manifest.match.runtime = "tensorrt ^ 8.6";
  CHECK(decode_release(encode(release)).value().manifest.match.runtime == "tensorrt ^ 8.6");
}
