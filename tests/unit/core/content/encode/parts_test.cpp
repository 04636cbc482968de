#include "core/content/encode/parts_encode.hpp"
#include "tests/unit/core/content/encode/noise.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace fleet;
using namespace fleet::content;
using content::testing::noise;

namespace {

/// A block of several groups and parts, partly like its base.
struct Made {
  Bytes block, base;
  std::vector<PartGroup> groups;
  std::vector<Part> parts;
};

Made make() {
  Made made;
  auto const groups = *rc::gen::inRange<std::size_t>(1, kGroupsMax + 1);
  for (std::size_t g = 0; g < groups; ++g) {
    PartGroup group{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(), {}};
    auto const fields = *rc::gen::inRange<std::size_t>(1, 4);
    for (std::size_t f = 0; f < fields; ++f)
      group.fields.push_back({*rc::gen::element<std::uint8_t>(1, 2, 4, 8), static_cast<std::uint16_t>(*rc::gen::inRange(1, 40))});
    made.groups.push_back(group);
  }
  made.base = noise(*rc::gen::inRange<std::size_t>(4000, 20'000), *rc::gen::arbitrary<std::uint64_t>());
  std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
  auto const count = groups + *rc::gen::inRange<std::size_t>(0, 6);
  for (std::size_t i = 0; i < count; ++i) {
    auto const g = static_cast<std::uint32_t>(i % groups);
    auto const record = record_bytes(made.groups[g]);
    auto const records = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(*rc::gen::inRange<std::uint32_t>(1, 4000)) / record);
    Part const part{g, records * record, static_cast<std::uint32_t>(made.block.size()),
                    made.groups[g].has_base ? static_cast<std::uint32_t>(*rc::gen::inRange<std::size_t>(0, made.base.size() - 4000 - record + 1) % (made.base.size() - records * record)) : 0};
    auto bytes = noise(part.length, ++seed);
    if (made.groups[g].has_base)
      for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::uint8_t>(made.base[part.base + k] + (bytes[k] > 240 ? 1 : 0));
    made.block.insert(made.block.end(), bytes.begin(), bytes.end());
    made.parts.push_back(part);
  }
  return made;
}

}  // namespace

TEST_CASE("parts: what is encoded is decoded") {
  PartsScratch scratch;
  CHECK(rc::check("whatever the groups and parts", [&scratch] {
    auto const made = make();
    auto const stored = encode_parts(made.block, made.base, made.groups, made.parts, 5);
    Bytes out(made.block.size());
    RC_ASSERT(decode_parts(stored, made.base, out, scratch));
    RC_ASSERT(out == made.block);
    RC_ASSERT_FALSE(decode_parts(BytesView(stored).first(stored.size() - 1), made.base, out, scratch));
    Bytes shorter(made.block.size() - 1);
    RC_ASSERT_FALSE(decode_parts(stored, made.base, shorter, scratch));
  }));
}

TEST_CASE("parts: a group that nearly all is as it was costs next to nothing") {
  auto const base = noise(1 << 20, 1);
  auto block = base;
  for (std::size_t i = 100; i < block.size(); i += 5003) ++block[i];
  std::vector<PartGroup> const groups{{true, false, {{4, 1}}}};
  std::vector<Part> const parts{{0, 1 << 20, 0, 0}};
  auto const stored = encode_parts(block, base, groups, parts, 5);
  CHECK(stored.size() < 700);  // 210 changes: where, and which of four planes
  Bytes out(block.size());
  PartsScratch scratch;
  REQUIRE(decode_parts(stored, base, out, scratch));
  CHECK(out == block);
}
