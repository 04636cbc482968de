#include "core/content/recipe.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::content;

namespace {

Digest digest_of(std::string_view text) { return crypto::sha256(text); }

/// One block of each method, over two bases and two segments.
struct Sample {
  RecipeHead head{digest_of("output"), 6000, 6, {{digest_of("base a"), 5000}, {digest_of("base b"), 900}}, {{digest_of("one"), 3000}, {digest_of("two"), 700}}};
  std::vector<Block> blocks{
      {0, 1000, digest_of("0"), Method::raw, 0, {}, StoredRange{1, 0, 1000, digest_of("0")}},
      {1000, 1000, digest_of("1"), Method::constant, 7, {}, {}},
      {2000, 900, digest_of("2"), Method::copy, 0, BaseRange{1, 0, 900, digest_of("2")}, {}},
      {2900, 1100, digest_of("3"), Method::zstd, 0, {}, StoredRange{0, 1000, 500, digest_of("s3")}},
      {4000, 1000, digest_of("4"), Method::parts, 0, BaseRange{0, 3000, 2000, digest_of("b4")}, StoredRange{0, 1500, 300, digest_of("s4")}},
      {5000, 1000, digest_of("5"), Method::parts, 0, {}, StoredRange{1, 100, 600, digest_of("s5")}},
  };
  Sample() { blocks[0].stored->segment = 0; }
};

Result<std::vector<Block>> read(BytesView bytes) {
  MemorySource source(bytes);
  FLEET_TRY(auto reader, RecipeReader::open(source));
  return reader.all();
}

}  // namespace

TEST_CASE("a recipe is read back as it was written") {
  Sample const sample;
  auto const bytes = encode_recipe(sample.head, sample.blocks);
  MemorySource source(bytes);
  auto reader = RecipeReader::open(source);
  REQUIRE(reader.has_value());
  CHECK(reader->head() == sample.head);
  auto const blocks = reader->all();
  REQUIRE(blocks.has_value());
  CHECK(*blocks == sample.blocks);
  auto const summary = reader->check();
  REQUIRE(summary.has_value());
  CHECK(summary->stored_bytes == 1000 + 500 + 300 + 600);
  CHECK(summary->segment_bytes == 3700);
  CHECK(summary->copied_bytes == 900);
  CHECK(summary->constant_bytes == 1000);
  CHECK(summary->delta_bytes == 1000);
  CHECK(reader->next().value()->offset == 0);
}

TEST_CASE("a recipe that was cut, or goes on, is none") {
  Sample const sample;
  auto bytes = encode_recipe(sample.head, sample.blocks);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(read(BytesView(bytes).first(size)).error().code == "bad_recipe");
  bytes.push_back(0);
  CHECK(read(bytes).error().code == "bad_recipe");
}

TEST_CASE("what lies out of bounds is refused") {
  auto const code = [](auto&& change) {
    Sample sample;
    change(sample);
    auto const blocks = read(encode_recipe(sample.head, sample.blocks));
    return blocks ? std::string("read") : blocks.error().code;
  };
  CHECK(code([](Sample&) {}) == "read");
  CHECK(code([](Sample& s) { s.blocks[2].base->offset = 1; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[2].base->file = 2; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[4].base->length = 2001; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[4].base->length = 0; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[4].base.reset(); s.blocks[4].method = Method::copy; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[3].base = s.blocks[2].base; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[3].stored->offset = 2501; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[3].stored->segment = 2; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[5].stored->length = 0; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[5].length = 999; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.blocks[5].length = 1001; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.head.size = 6001; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.head.segments[0].size = kSegmentBytesMax + 1; }) == "bad_recipe");
  CHECK(code([](Sample& s) { s.head.bases.resize(kBasesMax + 1); }) == "bad_recipe");
  CHECK(code([](Sample& s) {
          s.head.size = 3 * kBlockBytesMax;
          s.head.bases[0].size = s.head.size;
          s.blocks = {{0, kBlockBytesMax + 1, digest_of("0"), Method::constant, 7, {}, {}}, {0, kBlockBytesMax, digest_of("0"), Method::constant, 7, {}, {}},
                      {0, kBlockBytesMax - 1, digest_of("0"), Method::constant, 7, {}, {}}};
        }) == "bad_recipe");
}
