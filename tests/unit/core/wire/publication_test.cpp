#include "core/wire/release.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

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

TEST_CASE("of a release that is packed, what its archives hold is known to the device alone; each variant has one") {
  auto const with = [](std::string_view name, std::string_view manifest) {
    return fmt::format(R"({{"version":"1","variants":[{{"hardware":["a"],"files":[{{"name":"{}","size":1,"sha256":"{}"}}]}}],"manifest":{}}})", name, std::string(64, 'a'), manifest);
  };
  constexpr std::string_view kPacked = R"({"handler":"archive","golden":{"command":["lib/run"],"expect":"out.csv"},"activate":{"exec":["lib/run"]}})";
  auto const release = decode_wanted_release("m", with("app.tar.zst", kPacked));
  REQUIRE_MESSAGE(release.has_value(), release.error().errors.front().detail);
  CHECK(release->manifest.handler == kArchiveHandler);
  CHECK(decode_release(encode(*release)).value().manifest.handler == kArchiveHandler);
  CHECK(encode(decode_wanted_release("m", with("a", R"({"handler":"files"})")).value()).find("handler") == std::string::npos);
  for (auto const* const none : {"app", "app.tar.xz", "app.tar/x", "tar"}) {
    CAPTURE(none);
    CHECK(decode_wanted_release("m", with(none, kPacked)).error().errors.front().pointer == "/variants/0/files");
  }
  auto const unknown = decode_wanted_release("m", with("app.tar", R"({"handler":"rpm"})"));
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().errors.front().pointer == "/manifest/handler");
  auto signed_release = *release;
  signed_release.manifest.handler = "of-tomorrow";  // a newer server's: its own word, and no other handler's
  CHECK(decode_release(encode(signed_release)).value().manifest.handler == "of-tomorrow");
}

TEST_CASE("a release that a program installs names it, and no other does") {
  auto const with = [](std::string_view manifest) { return decode_manifest(manifest); };
  auto const manifest = with(R"({"handler":"exec","installer":{"program":"rauc"}})");
  REQUIRE(manifest.has_value());
  CHECK(manifest->installer->program == "rauc");
  CHECK(manifest->installer->timeout == std::chrono::minutes{30});
  for (auto const& [text, pointer] : std::to_array<std::pair<std::string_view, std::string_view>>({
           {R"({"handler":"exec"})", "/installer"},
           {R"({"handler":"files","installer":{"program":"rauc"}})", "/installer"},
           {R"({"installer":{"program":"rauc"}})", "/installer"},
           {R"({"handler":"exec","installer":{"program":"/usr/bin/rauc"}})", "/installer/program"},
           {R"({"handler":"exec","installer":{}})", "/installer/program"},
           {R"({"handler":"exec","installer":{"program":"rauc","timeout":"2h"}})", "/installer/timeout"},
           {R"({"handler":"exec","installer":{"program":"rauc","arguments":["x"]}})", "/installer/arguments"},
       })) {
    CAPTURE(text);
    auto const refused = with(text);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().errors.front().pointer == pointer);
  }
}

TEST_CASE("an activation takes the time that the manifest gives it, and ten seconds where it gives none") {
  auto const with = [](std::string_view manifest) { return decode_wanted_release("m", body_of(1, 5, fmt::format(R"(,"manifest":{})", manifest))); };
  auto const usual = with(R"({"activate":{"exec":["reader"]}})");
  REQUIRE(usual.has_value());
  CHECK(usual->manifest.activate_timeout == Millis{10'000});
  CHECK(encode(*usual).find("timeout") == std::string::npos);
  auto const longer = with(R"({"activate":{"exec":["reader"],"timeout":"5m"}})");
  CHECK(decode_release(encode(*longer)).value().manifest.activate_timeout == std::chrono::minutes{5});
  CHECK_FALSE(with(R"({"activate":{"exec":["reader"],"timeout":"2h"}})").has_value());
  CHECK_FALSE(with(R"({"activate":{"exec":["reader"],"timeout":"0s"}})").has_value());
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

TEST_CASE("links are kept that lead to something in the release; no other is taken, whoever decodes it") {
  auto const with = [](std::string_view links, std::string_view manifest = "{}") {
    return fmt::format(R"({{"model":"m","version":"1","release_counter":1,"variants":[{{"hardware":["a"],"files":[{{"name":"a/b","size":1,"sha256":"{0}"}},)"
                       R"({{"name":"run","size":1,"sha256":"{0}","executable":true}}],"folders":["e"],"links":{1}}}],"manifest":{2}}})",
                       std::string(64, 'a'), links, manifest);
  };
  for (auto const fine : {R"([{"name":"x","target":"a/b"},{"name":"a/y","target":"../x"},{"name":"e/z","target":"..//./a"},{"name":"deep/er/w","target":"../../e/z/b"}])",
                          R"([{"name":"l","target":"a/"},{"name":"k","target":"l/b"}])", R"([])"}) {
    CAPTURE(fine);
    auto const release = decode_release(with(fine));
    REQUIRE_MESSAGE(release.has_value(), release.error().errors.front().detail);
    CHECK(encode(decode_release(encode(*release)).value()) == encode(*release));
  }
  std::string many = R"([{"name":"l0","target":"run"})";
  for (int i = 1; i <= 40; ++i) many += fmt::format(R"(,{{"name":"l{}","target":"l{}"}})", i, i - 1);
  many += "]";
  for (auto const wrong : std::to_array<std::string_view>(
       {R"([{"name":"x","target":"/etc/passwd"}])", R"([{"name":"x","target":"../x"}])", R"([{"name":"a/x","target":"../../a/b"}])",
        R"([{"name":"x","target":"gone"}])", R"([{"name":"x","target":"x"}])", R"([{"name":"x","target":"y"},{"name":"y","target":"x"}])",
        R"([{"name":"x","target":"."}])", R"([{"name":"a/x","target":"../a"}])", R"([{"name":"a/x","target":"../e"},{"name":"e/x","target":"../a"}])",
        R"([{"name":"x","target":"a/b/"}])", R"([{"name":"x","target":"a/b/../b"}])", R"([{"name":"l","target":"e"},{"name":"x","target":"l/../../x"}])",
        R"([{"name":"run","target":"a/b"}])", R"([{"name":"a","target":"e"}])", R"([{"name":"e","target":"a"}])", R"([{"name":"a/b/x","target":"../../run"}])",
        R"([{"name":"../x","target":"run"}])", R"([{"name":"x","target":""}])", R"([{"name":"x"}])", R"([1])", R"("x")", R"([{"name":"x","target":"r\u0001"}])",
        many})) {
    CAPTURE(wrong);
    CHECK_FALSE(decode_release(with(wrong)).has_value());
  }
  // What a manifest names may be a link.
  auto const publication = [&](std::string_view links) {
    auto body = with(links, R"({"golden":{"command":["start"],"expect":"l/b"},"activate":{"exec":["start"]}})");
    return decode_wanted_release("m", body);
  };
  CHECK(publication(R"([{"name":"l","target":"a"},{"name":"start","target":"run"}])").has_value());
  CHECK_FALSE(publication(R"([{"name":"l","target":"e"},{"name":"start","target":"a/b"}])").has_value());
}

TEST_CASE("links without end are judged in the time that their bytes take") {
  std::string links;
  for (int i = 0; i < 9'000; ++i)
    links += fmt::format(R"({}{{"name":"{}","target":"{}"}})", i == 0 ? "" : ",", i, i % 30 == 0 ? "f" : fmt::format("././{}", i - 1));
  auto const release = decode_release(fmt::format(
      R"({{"model":"m","version":"1","release_counter":1,"variants":[{{"hardware":["a"],"files":[{{"name":"f","size":1,"sha256":"{}"}}],"links":[{}]}}]}})",
      std::string(64, 'a'), links));
  REQUIRE(release.has_value());
  CHECK(release->variants[0].links.size() == 9'000);
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
