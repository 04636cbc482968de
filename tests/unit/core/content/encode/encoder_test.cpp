#include "core/content/encode/encoder.hpp"

#include "core/content/assemble_file.hpp"
#include "core/content/sealed_source.hpp"
#include "core/crypto/hash.hpp"
#include "tests/unit/core/content/encode/noise.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

using namespace fleet;
using namespace fleet::content;
using content::testing::noise;

namespace {

using Segments = std::map<Digest, Bytes>;

RecipeBuilder builder_of(BytesView target, Encoder const& encoder, Segments& segments) {
  return {crypto::sha256(target), target.size(), encoder.bases(), [&segments](Digest const& name, BytesView bytes) -> Result<void> {
            segments[name].assign(bytes.begin(), bytes.end());
            return {};
          }};
}

Bytes recipe_of(BytesView target, Encoder const& encoder, Segments& segments) {
  auto builder = builder_of(target, encoder, segments);
  for (std::size_t i = 0; i < encoder.blocks(); ++i) REQUIRE(builder.add(encoder.encode(i).value()).has_value());
  return builder.finish().value();
}

/// Makes the file of a recipe, as a device does.
Bytes assemble(Source& source, Segments const& segments, std::vector<Source*> const& bases, Assembler assembler = {}) {
  auto reader = RecipeReader::open(source).value();
  std::optional<MemorySource> object;
  Bytes out;
  auto const open = [&](Segment const& segment) -> Result<Source*> { return &object.emplace(segments.at(segment.sha256)); };
  auto const made = assemble_file(reader, assembler, {open, bases}, [&](Block const&, BytesView bytes) -> Result<void> {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return {};
  });
  REQUIRE_MESSAGE(made.has_value(), (made ? std::string() : made.error().detail));
  CHECK(crypto::sha256(out) == reader.head().sha256);
  return out;
}
Bytes assemble(BytesView recipe, Segments const& segments, std::vector<Source*> const& bases) {
  MemorySource source(recipe);
  return assemble(source, segments, bases);
}

}  // namespace

TEST_CASE("a whole file without a base comes out as it was") {
  Bytes target = noise(1'500'000, 1);
  target.resize(4'000'000, 0);
  for (std::size_t i = 2'600'000; i < 4'000'000; ++i) target[i] = static_cast<std::uint8_t>(i / 100);
  for (auto const size : {target.size(), std::size_t{1}, std::size_t{kBlockBytesMax}, std::size_t{0}}) {
    BytesView const view = BytesView(target).first(size);
    MemorySource source(view);
    auto const encoder = Encoder::whole(source, {}, {}).value();
    Segments segments;
    auto const recipe = recipe_of(view, encoder, segments);
    auto const out = assemble(recipe, segments, {});
    CHECK(std::equal(out.begin(), out.end(), view.begin(), view.end()));
  }
}

TEST_CASE("a job that stopped goes on from its checkpoint and makes the same file") {
  auto const target = noise(9'000'000, 3);
  MemorySource source(target);
  auto const encoder = Encoder::whole(source, {}, {}).value();
  Segments segments;
  auto begun = builder_of(target, encoder, segments);
  for (std::size_t i = 0; i < 5; ++i) REQUIRE(begun.add(encoder.encode(i).value()).has_value());
  auto const checkpoint = begun.checkpoint().value();

  auto resumed = builder_of(target, encoder, segments);
  REQUIRE(resumed.resume(checkpoint).has_value());
  CHECK(resumed.blocks() == 5);
  while (resumed.blocks() < encoder.blocks()) REQUIRE(resumed.add(encoder.encode(resumed.blocks()).value()).has_value());
  CHECK(assemble(resumed.finish().value(), segments, {}) == target);

  auto const other = noise(100, 4);
  CHECK(builder_of(other, encoder, segments).resume(checkpoint).error().code == "other_checkpoint");
}

TEST_CASE("any flipped bit of what is stored, of the base, or of the recipe is an error or changes nothing, never other output") {
  auto const base = noise(300'000, 5);
  auto target = base;
  for (std::size_t i = 0; i < target.size(); i += 97) ++target[i];
  target.insert(target.begin() + 1000, 50, 1);
  MemorySource source(target), base_source(base);
  Segments segments;
  auto const encoder = Encoder::whole(source, {}, {{{crypto::sha256(base), base.size()}, &base_source, nullptr}}).value();
  auto const recipe = recipe_of(target, encoder, segments);
  CHECK(assemble(recipe, segments, {&base_source}) == target);
  MemorySource recipe_source(recipe);
  auto reader = RecipeReader::open(recipe_source).value();
  auto const block = *reader.next().value();
  auto const& segment = segments.at(reader.head().segments[block.stored->segment].sha256);
  REQUIRE(block.base);
  CHECK(rc::check("one bit", [&] {
    auto stored = segment;
    auto changed_base = base;
    auto changed = block;
    auto const bit = [](Bytes& bytes, std::uint64_t at) { bytes[at / 8] ^= static_cast<std::uint8_t>(1U << (at % 8)); };
    switch (*rc::gen::inRange(0, 4)) {
      case 0: bit(stored, *rc::gen::inRange<std::uint64_t>(0, stored.size() * 8)); break;
      case 1: bit(changed_base, block.base->offset * 8 + *rc::gen::inRange<std::uint64_t>(0, std::uint64_t{block.base->length} * 8)); break;
      case 2: changed.sha256.bytes[*rc::gen::inRange<std::size_t>(0, 32)] ^= 1; break;
      default: --changed.base->length;
    }
    MemorySource on(changed_base);
    Assembler assembler;
    auto const out = assembler.assemble(changed, BytesView(stored).subspan(changed.stored->offset, changed.stored->length), &on);
    RC_ASSERT_FALSE(out.has_value());
    RC_ASSERT(out.error().kind == Kind::unprocessable);
  }));
}

TEST_CASE("an encrypted recipe makes the same file, and nothing of it can be read without the key") {
  auto const key = crypto::DataKey::from_bytes(Bytes(32, 5)).value();
  Bytes target = noise(1'200'000, 1);
  target.resize(2'500'000, 7);
  auto base = target;
  for (std::size_t i = 0; i < base.size(); i += 1'000) base[i] ^= 1;
  MemorySource target_source(target), base_source(base);
  for (bool const from_base : {false, true}) {
    std::vector<Base> bases;
    if (from_base) bases.push_back({{crypto::sha256(base), base.size()}, &base_source, nullptr});
    auto const encoder = Encoder::whole(target_source, {}, bases).value();
    Segments segments;
    auto builder = builder_of(target, encoder, segments);
    for (std::size_t i = 0; i < encoder.blocks(); ++i) REQUIRE(builder.add(seal(encoder.encode(i).value(), key)).has_value());
    auto const sent = seal_pieces(key, builder.finish().value());
    MemorySource sent_source(sent);
    SealedSource source(sent_source, key);
    auto reader = RecipeReader::open(source).value();
    CHECK(reader.check().value().memory_bytes < 16U << 20);
    CHECK(assemble(source, segments, {&base_source}, Assembler(key)) == target);
    auto const piece = as_text(BytesView(target).subspan(5'000, 24));
    for (auto const& [name, bytes] : segments) CHECK(as_text(bytes).find(piece) == std::string_view::npos);
    CHECK(as_text(sent).find(as_text(crypto::sha256(target).bytes)) == std::string_view::npos);
  }
}

TEST_CASE("a recipe's encrypted pieces are read at any place, and end where they end") {
  auto const key = crypto::DataKey::from_bytes(Bytes(32, 6)).value();
  for (std::size_t const size : {std::size_t{0}, std::size_t{1}, kSealedPieceBytes, kSealedPieceBytes + 1, 3 * kSealedPieceBytes - 7}) {
    auto const plain = noise(size, size + 1);
    auto const sealed = seal_pieces(key, plain);
    MemorySource below(sealed);
    SealedSource source(below, key);
    REQUIRE(source.size() == size);
    for (std::size_t const at : {std::size_t{0}, size / 2, size}) {
      Bytes got(std::min<std::size_t>(size - at, 100'000));
      REQUIRE(source.read(at, got).has_value());
      CHECK(std::equal(got.begin(), got.end(), plain.begin() + static_cast<std::ptrdiff_t>(at)));
    }
    Bytes beyond(1);
    CHECK(source.read(size, beyond).error().code == "short_read");
  }
}
