#include "core/content/encode/segments.hpp"
#include "tests/unit/agent/delivery/bench.hpp"

using namespace fleet;
using namespace fleet::agent;
using content::EncodedBlock;
using content::Method;

namespace {

constexpr std::size_t kBlockBytes = 20'000;

std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::string out(bytes, '\0');
  SeededRandom random{seed};
  random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
  return out;
}

/// A recipe that copies each block which its base has at the same place and stores every other raw; and its wire objects.
struct Made {
  std::string recipe;
  std::map<Digest, std::string> objects;
  std::uint64_t bytes = 0;
};
Made make_recipe(std::string const& output, std::string const& base, std::size_t segment_blocks = 4) {
  Made out;
  std::vector<content::BaseFile> bases;
  if (!base.empty()) bases.push_back({crypto::sha256(base), base.size()});
  content::RecipeBuilder builder(crypto::sha256(output), output.size(), bases, [&out](Digest const& digest, BytesView bytes) -> Result<void> {
    out.objects[digest] = std::string(as_text(bytes));
    return {};
  });
  std::size_t stored = 0;
  for (std::size_t at = 0; at < output.size(); at += kBlockBytes) {
    auto const bytes = output.substr(at, kBlockBytes);
    EncodedBlock one;
    one.block.length = static_cast<std::uint32_t>(bytes.size());
    one.block.sha256 = crypto::sha256(bytes);
    if (!base.empty() && at + bytes.size() <= base.size() && base.compare(at, bytes.size(), bytes) == 0) {
      one.block.method = Method::copy;
      one.block.base = content::BaseRange{0, at, one.block.length, one.block.sha256};
    } else {
      one.block.method = Method::raw;
      one.stored.assign(bytes.begin(), bytes.end());
      if (++stored % segment_blocks == 0) static_cast<void>(builder.checkpoint());
    }
    REQUIRE(builder.add(std::move(one)).has_value());
  }
  auto const recipe = builder.finish().value();
  out.recipe = std::string(as_text(recipe));
  for (auto const& [digest, bytes] : out.objects) out.bytes += bytes.size();
  return out;
}

/// A device that keeps a version with `base` and is to have `kContent`, by a recipe.
struct RecipeBench : Bench {
  std::string base = [] {
    auto out = kContent;
    // Three stretches are new: a block, two blocks, the last one.
    for (std::size_t const block : {2U, 6U, 7U, 14U}) out[block * kBlockBytes + 5] = static_cast<char>(out[block * kBlockBytes + 5] ^ 1);
    return out;
  }();

  void offer(Made const& made, std::vector<Digest> bases, std::string kind) {
    if (!routes) routes = wire::ReleaseRoutes{crypto::sha256("r"), "cam-a", {{crypto::sha256(kContent), kContent.size(), {}}}};
    routes->files[0].routes.push_back({std::move(kind), std::move(bases), crypto::sha256(made.recipe), made.recipe.size(), made.bytes, 1 << 20});
    serve(made.recipe);
    for (auto const& [digest_, bytes] : made.objects) serve(bytes);
  }
  void offer_delta() { offer(make_recipe(kContent, base, 2), {crypto::sha256(base)}, "binary_delta"); }
  void serve(std::string const& bytes) { server.answer("/blobs/sha256/" + crypto::sha256(bytes).hex(), stretch(bytes)); }

  /// Answers `bytes=a-b`, too, and counts what is sent.
  FakeServer::Answer stretch(std::string content, std::size_t most = std::string::npos) {
    return [this, content = std::move(content), most](net::Request const& request) {
      std::string range{request.header("Range")};
      std::size_t from = 0, to = content.size();
      if (range.starts_with("bytes=")) {
        auto const [end, fault] = std::from_chars(range.data() + 6, range.data() + range.size(), from);
        if (end + 1 < range.data() + range.size()) {
          std::from_chars(end + 1, range.data() + range.size(), to);
          ++to;
        }
      }
      net::Response response;
      response.status = range.empty() ? 200 : 206;
      auto body = content.substr(std::min(from, content.size()), std::min(most, to - from));
      std::lock_guard const lock(mutex);
      sent += body.size();
      response.body = std::move(body);
      ranges.push_back(range);
      return response;
    };
  }
  [[nodiscard]] std::string parts() const { return slots.parts("reader", digest); }
  std::atomic<std::size_t> sent{0};
};

}  // namespace

TEST_CASE("a file is made of what a kept version has and of what alone is fetched") {
  RecipeBench bench;
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.sent < 4 * kBlockBytes + 3'000);
  CHECK(bench.planned_bytes == bench.sent);
  // Nobody asked for the file itself.
  auto const asked = bench.server.asked();
  CHECK(std::find(asked.begin(), asked.end(), bench.blob) == asked.end());
}

TEST_CASE("without its base a route is not taken; of several the one of the fewest bytes is") {
  RecipeBench bench;
  bench.offer_delta();
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run().has_value());
  CHECK(bench.server.asked() == std::vector<std::string>{bench.blob});

  RecipeBench both;
  both.keep("reader", "old-name.bin", both.base);
  auto other = kContent;
  other[0] = static_cast<char>(other[0] ^ 1);
  both.keep("reader2", "nearer.bin", other);
  both.offer_delta();
  auto const nearer = make_recipe(kContent, other);
  both.offer(nearer, {crypto::sha256(other)}, "binary_delta");
  REQUIRE(both.run().has_value());
  CHECK(both.sent == nearer.recipe.size() + kBlockBytes);
}

TEST_CASE("what is dearer than the rest of the file is not taken, nor what asks for more memory than there is") {
  for (bool const dear : {true, false}) {
    CAPTURE(dear);
    RecipeBench bench;
    bench.keep("reader", "old-name.bin", bench.base);
    bench.offer_delta();
    auto& route = bench.routes->files[0].routes[0];
    if (dear) route.bytes = kContent.size();
    else route.memory = kRecipeMemoryMax + 1;
    bench.server.answer(bench.blob, bench.ranged(kContent));
    REQUIRE(bench.run().has_value());
    CHECK(bench.server.asked() == std::vector<std::string>{bench.blob});
  }
}

TEST_CASE("an object that is bad at one source is asked for at the next, from the block on that was bad") {
  RecipeBench bench;
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  for (auto const& [digest, bytes] : make_recipe(kContent, bench.base, 2).objects) {
    auto bad = bytes;
    bad[bad.size() - 3] = static_cast<char>(bad[bad.size() - 3] ^ 1);
    bench.server.answer("/mirror/blobs/sha256/" + digest.hex(), bench.stretch(bad));
  }
  REQUIRE(bench.run({bench.server.url() + "/mirror"}).has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  auto const asked = bench.server.asked();
  CHECK(std::find(asked.begin(), asked.end(), bench.blob) == asked.end());
  CHECK(bench.sources.is_resting(bench.server.url() + "/mirror", system_clock().mono()));
}

TEST_CASE("a block whose base is spoiled, or whose object is nowhere, is fetched out of the whole file, and no more") {
  for (std::string const what : {"base", "object gone", "object bad"}) {
    CAPTURE(what);
    RecipeBench bench;
    auto spoiled = bench.base;
    if (what == "base") spoiled[0] = static_cast<char>(spoiled[0] ^ 1);
    bench.keep("reader", "old-name.bin", bench.base, spoiled);
    auto const made = make_recipe(kContent, bench.base, 1);
    bench.offer(made, {crypto::sha256(bench.base)}, "binary_delta");
    auto const& [digest, bytes] = *made.objects.begin();
    if (what == "object gone") bench.server.drop("/blobs/sha256/" + digest.hex());
    if (what == "object bad") bench.server.answer("/blobs/sha256/" + digest.hex(), bench.stretch(std::string(bytes.size(), 'x')));
    bench.server.answer(bench.blob, bench.stretch(kContent));
    REQUIRE(bench.run().has_value());
    CHECK(bench.fs.text(bench.staged) == kContent);
    CHECK(bench.sent <= 6 * kBlockBytes + made.recipe.size());
    auto const asked = bench.server.asked();
    CHECK(std::count(asked.begin(), asked.end(), bench.blob) == 1);
  }
}

TEST_CASE("where many blocks of a base are spoiled the next route is taken, and what was made stays") {
  // Larger than what is fetched as it is before a recipe is given up.
  auto const content = noise(5, 6'000'000);
  auto base = content;
  base[4'500'005] = static_cast<char>(base[4'500'005] ^ 1);
  RecipeBench bench;
  bench.variant.files[0] = {"model/part.bin", content.size(), crypto::sha256(content), false};
  auto spoiled = base;
  for (std::size_t at = 1'000'000; at < spoiled.size(); at += kBlockBytes) spoiled[at] = static_cast<char>(spoiled[at] ^ 1);
  bench.keep("reader", "old-name.bin", base, spoiled);
  bench.routes = wire::ReleaseRoutes{crypto::sha256("r"), "cam-a", {{crypto::sha256(content), content.size(), {}}}};
  bench.offer(make_recipe(content, base), {crypto::sha256(base)}, "binary_delta");
  auto const whole = make_recipe(content, "", 40);
  bench.offer(whole, {}, "compressed");
  bench.routes->files[0].routes.back().bytes = content.size() - whole.recipe.size() - 3'000;
  bench.server.answer("/blobs/sha256/" + crypto::sha256(content).hex(), bench.stretch(content));
  int asked_more = 0;
  Lines lines(bench.make_line());
  Throttle throttle(system_clock(), 0);
  REQUIRE(bench.go(lines, throttle, [&](bool more) -> Result<void> {
    asked_more += more ? 1 : 0;
    return {};
  }).has_value());
  CHECK(bench.fs.text(bench.staged) == content);
  CHECK(asked_more >= 1);
  CHECK(bench.spent.size() == 1);
  // The first million was made of the base, and stayed.
  CHECK(bench.sent < 5'100'000 + 100'000);
}

TEST_CASE("what would cost more than was said is asked for first: a metered link waits") {
  RecipeBench bench;
  auto spoiled = bench.base;
  spoiled[0] = static_cast<char>(spoiled[0] ^ 1);
  bench.keep("reader", "old-name.bin", bench.base, spoiled);
  bench.offer_delta();
  bench.server.answer(bench.blob, bench.stretch(kContent));
  Lines lines(bench.make_line());
  Throttle throttle(system_clock(), 0);
  auto const got = bench.go(lines, throttle, [](bool more) { return more ? Result<void>(Error{Kind::unavailable, "waits", "metered"}) : Result<void>(); });
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == "waits");
  auto const asked = bench.server.asked();
  CHECK(std::find(asked.begin(), asked.end(), bench.blob) == asked.end());
}

TEST_CASE("a recipe that is none, or another file's, is passed over, and so is one that is nowhere") {
  for (int what = 0; what < 3; ++what) {
    CAPTURE(what);
    RecipeBench bench;
    bench.keep("reader", "old-name.bin", bench.base);
    auto made = what == 0 ? make_recipe(bench.base, kContent) : make_recipe(kContent, bench.base);
    if (what == 1) made.recipe.resize(made.recipe.size() - 1);
    bench.offer(made, {crypto::sha256(bench.base)}, "binary_delta");
    if (what == 2) bench.server.drop("/blobs/sha256/" + crypto::sha256(made.recipe).hex());
    bench.server.answer(bench.blob, bench.ranged(kContent));
    REQUIRE(bench.run().has_value());
    CHECK(bench.fs.text(bench.staged) == kContent);
  }
}

TEST_CASE("a source that sends whole objects for ranges of them is understood") {
  RecipeBench bench;
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  for (auto const& [digest, bytes] : make_recipe(kContent, bench.base, 2).objects) bench.server.put("/blobs/sha256/" + digest.hex(), bytes);
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
}

TEST_CASE("after a cut at any call a file goes on from its bitmap, and comes out whole; whatever the power took is made again") {
  std::size_t whole = 0;
  {
    RecipeBench bench;
    bench.keep("reader", "old-name.bin", bench.base);
    bench.offer_delta();
    REQUIRE(bench.run().has_value());
    whole = bench.sent;
  }
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1; step < 200; ++step) {
      CAPTURE(step);
      RecipeBench bench;
      bench.keep("reader", "old-name.bin", bench.base);
      bench.offer_delta();
      bench.fs.cut_at(step);
      static_cast<void>(bench.run());
      if (!bench.fs.was_hit()) break;
      bench.fs.restart(loss);
      if (loss == CrashFs::Loss::unsynced) {  // what the test put there was never synced
        bench.fs.put("/agent/agent.yaml", "");
        bench.keep("reader", "old-name.bin", bench.base);
      }
      auto const again = bench.run();
      REQUIRE(again.has_value());
      CHECK(bench.fs.text(bench.staged) == kContent);
      if (loss == CrashFs::Loss::nothing) CHECK(bench.sent < 2 * whole);
    }
  }
}

TEST_CASE("a connection that ends in mid-object costs a block at most: the rest is asked for by its range") {
  RecipeBench bench;
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  auto const objects = make_recipe(kContent, bench.base, 2).objects;
  for (auto const& [digest, bytes] : objects) bench.server.answer("/blobs/sha256/" + digest.hex(), bench.stretch(bytes, 30'000));
  for (int i = 0; i < 8 && !bench.run(); ++i) {
  }
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.sent < 4 * kBlockBytes + 4 * 10'000 + 6'000);
}

TEST_CASE("a bitmap that lies is found by the whole file's digest, and only what is wrong is made again") {
  RecipeBench bench;
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  REQUIRE(bench.run().has_value());
  auto spoiled = kContent;
  spoiled[2 * kBlockBytes] = static_cast<char>(spoiled[2 * kBlockBytes] ^ 1);
  bench.fs.put(bench.staged, spoiled);
  bench.sent = 0;
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.sent == kBlockBytes);
}

TEST_CASE("what had come of the file as it is counts for a recipe, too, and what a recipe made for the file as it is") {
  RecipeBench bench;
  bench.fs.put(bench.staged, kContent.substr(0, 8 * kBlockBytes + 77));
  bench.keep("reader", "old-name.bin", bench.base);
  bench.offer_delta();
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.sent < kBlockBytes + 3'000);

  RecipeBench other;
  other.fs.put(other.staged, kContent.substr(0, 8 * kBlockBytes));
  other.server.answer(other.blob, other.ranged(kContent));
  REQUIRE(other.run().has_value());
  CHECK(other.ranges == std::vector<std::string>{"bytes=160000-"});
}
