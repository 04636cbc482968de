#include "core/content/chunk_places.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::content;

TEST_CASE("chunks of what is there are found by digest and length") {
  auto const digest = [](std::string_view text) { return crypto::sha256(text); };
  std::vector<Block> const blocks{{0, 100, digest("a"), Method::raw, 0, {}, StoredRange{0, 0, 100, digest("a")}}, {100, 50, digest("b"), Method::constant, 1, {}, {}}};
  auto const bytes = encode_recipe({digest("file"), 150, 2, {}, {{digest("segment"), 100}}}, blocks);
  MemorySource source(bytes);
  auto recipe = RecipeReader::open(source).value();
  ChunkPlaces places;
  REQUIRE(places.add(recipe, 7).has_value());
  auto const* const found = places.find(digest("b"), 50);
  REQUIRE(found != nullptr);
  CHECK(found->file == 7);
  CHECK(found->offset == 100);
  CHECK(places.find(digest("b"), 51) == nullptr);
  CHECK(places.find(digest("c"), 50) == nullptr);
}
