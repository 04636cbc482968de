#include "core/wire/release.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::wire;

namespace {

std::string const kDigest(64, 'a');

std::string file(std::string const& name) { return R"({"name":")" + name + R"(","size":1,"sha256":")" + kDigest + R"("})"; }
std::string variant(std::string const& hardware, std::string const& more = "") { return R"({"hardware":[)" + hardware + R"(],"files":[)" + file("m") + "]" + more + "}"; }
std::string body(std::string const& variants, std::string const& manifest) { return R"({"version":"1","variants":[)" + variants + R"(],"manifest":)" + manifest + "}"; }

}  // namespace

TEST_CASE("a hardware may have variants by name, and the manifest says when each runs") {
  auto const text = body(variant(R"("cam-a","cam-b")") + "," + variant(R"("cam-a")", R"(,"name":"small")"),
                         R"({"variants":{"small":{"when":{"battery_below":"30%","charging":false,"temperature_above":75}}}})");
  auto const wanted = decode_wanted_release("m", text);
  REQUIRE(wanted.has_value());
  CHECK(find_variant(*wanted, "cam-a")->name.empty());
  auto const all = variants_for(*wanted, "cam-a");
  REQUIRE(all.size() == 2);
  CHECK(all[1]->name == "small");
  CHECK(variants_for(*wanted, "cam-b").size() == 1);
  CHECK(wanted->manifest.variants.at("small") == VariantWhen{30, false, 75.0});
  auto const again = decode_release(encode(*wanted));
  REQUIRE(again.has_value());
  CHECK(encode(*again) == encode(*wanted));
}

TEST_CASE("variants that nobody could tell apart, or that never run, are refused with the place") {
  struct Case {
    std::string variants, manifest, pointer, words;
  };
  std::string const small = R"({"variants":{"small":{"when":{"battery_below":"30%"}}}})";
  for (auto const& [variants, manifest, pointer, words] : std::to_array<Case>({
           {variant(R"("a")") + "," + variant(R"("a")"), "{}", "/variants/1/hardware", "'a' has a variant already"},
           {variant(R"("a")") + "," + variant(R"("a")", R"(,"name":"small")"), "{}", "/variants/1/name", "does not say when 'small' runs"},
           {variant(R"("a")", R"(,"name":"small")"), small, "/variants/0/hardware", "no variant without a name"},
           {variant(R"("a")") + "," + variant(R"("a")", R"(,"name":"small")") + "," + variant(R"("a")", R"(,"name":"small")"), small, "/variants/2/hardware", "variant 'small' already"},
           {variant(R"("a")"), small, "/manifest/variants/small", "no such variant"},
           {variant(R"("a")"), R"({"variants":{"Small":{"when":{"battery_below":1}}}})", "/manifest/variants/Small", "a variant's name"},
           {variant(R"("a")"), R"({"variants":{"s":{"when":{}}}})", "/manifest/variants/s/when", "at least one of"},
           {variant(R"("a")"), R"({"variants":{"s":{}}})", "/manifest/variants/s/when", "is required"},
           {variant(R"("a")"), R"({"variants":{"s":{"when":{"battery_below":"0%"}}}})", "/manifest/variants/s/when/battery_below", "1% to 100%"},
           {variant(R"("a")"), R"({"variants":{"s":{"when":{"battery_below":"low"}}}})", "/manifest/variants/s/when/battery_below", "1% to 100%"},
           {variant(R"("a")"), R"({"variants":{"s":{"when":{"temperature_above":300}}}})", "/manifest/variants/s/when/temperature_above", "degrees"},
           {variant(R"("a")"), R"({"variants":{"s":{"when":{"batery_below":"30%","charging":true}}}})", "/manifest/variants/s/when/batery_below", "did you mean 'battery_below'"},
       })) {
    CAPTURE(words);
    auto const refused = decode_wanted_release("m", body(variants, manifest));
    REQUIRE_FALSE(refused.has_value());
    bool found = false;
    for (auto const& one : refused.error().errors) found = found || (one.pointer == pointer && one.detail.find(words) != std::string::npos);
    CHECK_MESSAGE(found, refused.error().detail);
  }
}

TEST_CASE("a condition of a newer server never holds here, and is kept as such") {
  auto const text = body(variant(R"("a")") + "," + variant(R"("a")", R"(,"name":"s")"), R"({"variants":{"s":{"when":{"battery_below":50}}}})");
  auto wanted = encode(*decode_wanted_release("m", text));
  auto const at = wanted.find(R"("battery_below":50)");
  wanted.insert(at, R"("solar":true,)");
  auto const release = decode_release(wanted);
  REQUIRE(release.has_value());
  CHECK(release->manifest.variants.at("s").is_unknown);
  CHECK(decode_release(encode(*release))->manifest.variants.at("s").is_unknown);
}
