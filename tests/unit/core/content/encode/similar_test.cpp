#include "core/content/encode/similar.hpp"

#include "core/content/encode/window.hpp"
#include "tests/unit/core/content/encode/noise.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::content;
using content::testing::noise;

TEST_CASE("stretches that differ here and there are found where they moved to, what is new is its own") {
  auto const base = noise(20'000, 1);
  Bytes block(base.begin() + 9000, base.begin() + 15'000);
  auto const fresh = noise(500, 2);
  block.insert(block.end(), fresh.begin(), fresh.end());
  block.insert(block.end(), base.begin() + 100, base.begin() + 4100);
  for (std::size_t i = 50; i < block.size(); i += 60) ++block[i];
  auto const parts = similar_parts(block, base);
  std::uint32_t at = 0, different = 0;
  for (auto const& part : parts) {
    CHECK(part.offset == at);
    at += part.length;
    if (part.group == kDifferentGroup) different += part.length;
  }
  CHECK(at == block.size());
  CHECK(different > 9800);
  CHECK(different < 10'100);
  CHECK(parts.size() < 10);
}

TEST_CASE("any block is cut whole, like its base or not") {
  for (std::size_t size : {1U, 7U, 8U, 9U, 1000U})
    for (std::size_t base_size : {0U, 5U, 1000U}) {
      auto const block = noise(size, 3), base = noise(base_size, base_size == 1000 ? 3 : 4);
      std::uint32_t at = 0;
      for (auto const& part : similar_parts(block, base)) {
        CHECK(part.offset == at);
        at += part.length;
        if (part.group == kDifferentGroup) CHECK(part.base + part.length <= base.size());
      }
      CHECK(at == size);
    }
}

TEST_CASE("a window is where the most samples are, and none where there are none") {
  auto const first = noise(3 << 20, 5), second = noise(5 << 20, 6);
  MemorySource one(first), two(second);
  auto const index = WindowIndex::build({{{Digest{}, first.size()}, &one, nullptr}, {{Digest{}, second.size()}, &two, nullptr}}).value();
  auto const found = index.find(BytesView(second).subspan(3'500'001, 1 << 20), 0);
  REQUIRE(found);
  CHECK(found->file == 1);
  CHECK(found->offset <= 3'500'001);
  CHECK(found->offset + found->length >= 3'500'001 + (1 << 20));
  CHECK(found->length <= kBaseRangeBytesMax);
  CHECK_FALSE(index.find(noise(1 << 20, 7), 0));
  CHECK_FALSE(index.find(Bytes(1000, 0), 0));
}
