#include "core/content/encode/match.hpp"
#include "core/content/encode/plan.hpp"

#include <doctest/doctest.h>

#include <cstring>

using namespace fleet;
using namespace fleet::content;
using tensors::Tensor;
using tensors::Type;

namespace {

/// Floats that lean on one another: neighbours by seed have little in common.
Bytes weights(std::size_t count, std::uint64_t seed) {
  Bytes out;
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    auto const value = static_cast<float>(static_cast<double>(seed >> 11) / 9007199254740992.0 - 0.5);
    auto const* const bytes = reinterpret_cast<std::uint8_t const*>(&value);
    out.insert(out.end(), bytes, bytes + 4);
  }
  return out;
}

/// A file: 100 bytes of header, then tensors one after another.
struct Model {
  Bytes bytes = Bytes(100, 'h');
  std::vector<Tensor> tensors;
  void add(std::string name, Bytes const& data) {
    tensors.push_back({std::move(name), Type::f32, {data.size() / 4}, bytes.size(), data.size()});
    bytes.insert(bytes.end(), data.begin(), data.end());
  }
};

std::vector<Region> match(Model const& target, Model const& base) {
  MemorySource target_source(target.bytes), base_source(base.bytes);
  return match_regions(target_source, target.tensors, {{{Digest{}, base.bytes.size()}, &base_source, &base.tensors}}).value();
}

}  // namespace

TEST_CASE("a tensor goes to the base's of its name, wherever that lies, and what is between as its neighbour") {
  Model base, target;
  base.add("a", weights(1000, 1));
  base.add("b", weights(1000, 2));
  target.bytes.resize(140, 'h');
  target.add("b", weights(1000, 2));
  target.add("a", weights(1000, 1));
  auto const regions = match(target, base);
  REQUIRE(regions.size() == 3);
  CHECK(regions[0].type == Type::bytes);
  REQUIRE(regions[0].from);
  CHECK(regions[0].from->offset == 4100 - 140);
  CHECK(regions[1].from->offset == 4100);
  CHECK(regions[2].from->offset == 100);
}

TEST_CASE("where a layer came in and the names count on, a tensor goes to what it was before") {
  Model base, target;
  for (std::uint64_t i = 0; i < 5; ++i) base.add("layer." + std::to_string(i), weights(1000, 10 + i));
  for (std::uint64_t i = 0; i < 6; ++i) target.add("layer." + std::to_string(i), weights(1000, i < 2 ? 10 + i : i == 2 ? 99 : 9 + i));
  auto const regions = match(target, base);
  REQUIRE(regions.size() == 7);
  CHECK(regions[2].from->offset == 4100);
  CHECK((!regions[3].from || regions[3].length == 4000));
  for (std::size_t i = 4; i < 7; ++i) CHECK(regions[i].from->offset == 100 + (i - 2) * 4000);
}

TEST_CASE("a tensor that got more rows goes to what there was") {
  Model base, target;
  base.add("table", weights(1000, 1));
  auto longer = weights(1000, 1);
  auto const more = weights(200, 7);
  longer.insert(longer.end(), more.begin(), more.end());
  target.add("table", longer);
  auto const regions = match(target, base);
  REQUIRE(regions.size() == 3);
  CHECK(regions[1].length == 4000);
  CHECK(regions[1].from->offset == 100);
  CHECK(regions[2].length == 800);
  CHECK_FALSE(regions[2].from);
}

TEST_CASE("blocks hold whole records, one base file, and base stretches within 2 MiB") {
  auto const q4 = tensors::record_bytes(Type::q4_0);
  std::vector<Region> const regions{{0, 200, Type::bytes, {}},
                                    {200, q4 * 100'000, Type::q4_0, Region::From{0, 500}},
                                    {200 + q4 * 100'000, 40'000, Type::f32, Region::From{0, 9'000'000}},
                                    {40'200 + q4 * 100'000, 40'000, Type::f32, Region::From{1, 0}},
                                    {80'200 + q4 * 100'000, 400, Type::f32, Region::From{0, 0}},
                                    {80'600 + q4 * 100'000, 3'000'000, Type::bytes, {}}};
  auto const steps = plan_blocks(regions);
  std::uint64_t at = 0;
  for (auto const& step : steps) {
    CHECK(step.offset == at);
    CHECK(step.length <= kBlockBytesMax);
    at += step.length;
    if (step.search) continue;
    std::uint64_t sum = 0, begin = ~std::uint64_t{0}, end = 0;
    for (auto const& piece : step.pieces) {
      CHECK(piece.length % tensors::record_bytes(piece.type) == 0);
      sum += piece.length;
      if (!piece.base) continue;
      begin = std::min(begin, *piece.base);
      end = std::max(end, *piece.base + piece.length);
    }
    CHECK(sum == step.length);
    if (end > 0) CHECK(end - begin <= kBaseRangeBytesMax);
  }
  CHECK(at == 80'600 + q4 * 100'000 + 3'000'000);
  CHECK(std::count_if(steps.begin(), steps.end(), [](Step const& step) { return step.search; }) == 3);
}
