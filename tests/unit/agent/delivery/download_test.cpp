#include "tests/unit/agent/delivery/bench.hpp"

#include <filesystem>

using namespace fleet;
using namespace fleet::agent;

TEST_CASE("a file arrives whole in the staging folder, its folders made") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
}

TEST_CASE("a download goes on from the bytes that are there, also where it was cut several times") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent, 100'000));
  for (int i = 0; i < 2; ++i) {
    auto const part = bench.run();
    REQUIRE_FALSE(part.has_value());
    CHECK(part.error().code == "network");
  }
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.ranges == std::vector<std::string>{"", "bytes=100000-", "bytes=200000-"});
}

TEST_CASE("a server that answers a Range with the whole file is understood") {
  Bench bench;
  bench.fs.put(bench.staged, kContent.substr(0, 123'456));
  bench.server.answer(bench.blob, [](net::Request const&) {
    net::Response response;
    response.body = kContent;
    return response;
  });
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
}

TEST_CASE("what is wrong on the wire is refused by name and never resumed") {
  auto flipped = kContent;
  flipped[150'000] = static_cast<char>(flipped[150'000] ^ 1);
  struct Case {
    std::string what, content, code;
  };
  for (auto const& [what, content, code] : std::to_array<Case>({
           {"one bit", flipped, "digest_mismatch"},
           {"too long", kContent + "x", "too_long"},
           {"too short", kContent.substr(0, 299'999), "network"},
       })) {
    CAPTURE(what);
    Bench bench;
    bench.server.answer(bench.blob, bench.ranged(content));
    auto const got = bench.run();
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == code);
    bench.server.answer(bench.blob, bench.ranged(kContent));
    REQUIRE(bench.run().has_value());
    CHECK(bench.fs.text(bench.staged) == kContent);
  }
}

TEST_CASE("a wrong start on the disk is dropped when the digest differs, and the same source asked for the whole file") {
  Bench bench;
  bench.fs.put(bench.staged, std::string(1000, 'x'));
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run().has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.ranges == std::vector<std::string>{"bytes=1000-", ""});
}

TEST_CASE("a source that lies costs nothing but time: the next is asked in the same try") {
  auto flipped = kContent;
  flipped[150'000] = static_cast<char>(flipped[150'000] ^ 1);
  struct Case {
    std::string what, content;
    std::size_t cut;
    std::string start;               ///< on the disk before
    std::vector<std::string> asked;  ///< of liar and server, what they were asked for
  };
  for (auto const& [what, content, cut, start, asked] : std::to_array<Case>({
           {"one bit", flipped, std::string::npos, "", {"", ""}},
           {"too long", kContent + std::string(20'000, 'x'), std::string::npos, "", {"", ""}},
           {"too long and wrong", std::string(400'000, 'x'), std::string::npos, "", {"", ""}},
           {"too long, after a right start", kContent + std::string(20'000, 'x'), std::string::npos, kContent.substr(0, 1000), {"bytes=1000-", "bytes=1000-"}},
           {"a wrong start, then nothing", std::string(400'000, 'x'), 200'000, "", {"", "bytes=200000-", ""}},
           {"wrong after a right start", flipped, std::string::npos, kContent.substr(0, 1000), {"bytes=1000-", "", ""}},
       })) {
    CAPTURE(what);
    Bench bench;
    if (!start.empty()) bench.fs.put(bench.staged, start);
    bench.server.answer("/mirror" + bench.blob, bench.ranged(content, cut));
    bench.server.answer(bench.blob, bench.ranged(kContent));
    REQUIRE(bench.run({bench.server.url() + "/mirror"}).has_value());
    CHECK(bench.fs.text(bench.staged) == kContent);
    CHECK(bench.ranges == asked);
  }
}

TEST_CASE("a source that speaks of the device's own budget, disk or wishes ends nothing but its own turn") {
  for (std::string const code : {"over_budget", "cancelled", "disk_full", "too_long", "interrupted"}) {
    CAPTURE(code);
    Bench bench;
    bench.server.answer("/mirror" + bench.blob, [&](net::Request const&) { return net::json_response(503, R"({"code":")" + code + R"(","detail":"x"})"); });
    bench.server.answer(bench.blob, bench.ranged(kContent));
    REQUIRE(bench.run({bench.server.url() + "/mirror"}).has_value());
    CHECK(bench.fs.text(bench.staged) == kContent);
  }
}

TEST_CASE("a source that was caught lying is not asked for the other files") {
  Bench bench;
  auto const other = kContent.substr(0, 5000);
  bench.variant.files.push_back({"other.bin", other.size(), crypto::sha256(other), false});
  auto const other_blob = "/blobs/sha256/" + crypto::sha256(other).hex();
  bench.server.answer("/mirror" + bench.blob, bench.ranged(std::string(kContent.size(), 'x')));
  bench.server.answer(bench.blob, bench.ranged(kContent));
  bench.server.answer(other_blob, bench.ranged(other));
  REQUIRE(bench.run({bench.server.url() + "/mirror"}).has_value());
  CHECK(bench.server.asked() == std::vector<std::string>{"/mirror" + bench.blob, bench.blob, other_blob});
}

TEST_CASE("a source that does not answer is asked once, not for each file") {
  Bench bench;
  auto const other = kContent.substr(0, 5000);
  bench.variant.files.push_back({"other.bin", other.size(), crypto::sha256(other), false});
  auto const other_blob = "/blobs/sha256/" + crypto::sha256(other).hex();
  std::string const mirror = bench.server.url() + "/mirror";
  for (auto const& blob : {bench.blob, other_blob})
    bench.server.answer("/mirror" + blob, [](net::Request const&) { return net::json_response(503, R"({"code":"down","detail":"x"})"); });
  bench.server.answer(bench.blob, bench.ranged(kContent));
  bench.server.answer(other_blob, bench.ranged(other));
  REQUIRE(bench.run({mirror}).has_value());
  CHECK(bench.server.asked() == std::vector<std::string>{"/mirror" + bench.blob, bench.blob, other_blob});
}

TEST_CASE("the device's own conditions are asked in mid-download, and end it where it is") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  Lines lines(bench.make_line());
  Throttle throttle(bench.fake, 0);
  int asked = 0;
  auto const metered_soon = [&](bool) -> Result<void> { return ++asked < 3 ? Result<void>() : Error{Kind::unavailable, "waits", "metered"}; };
  auto const paused = bench.go(lines, throttle, metered_soon);
  REQUIRE_FALSE(paused.has_value());
  CHECK(paused.error().code == "waits");
  auto const there = bench.fs.text(bench.staged)->size();
  CHECK(there > 0);
  CHECK(there < kContent.size());
  REQUIRE(bench.run().has_value());
  CHECK(bench.ranges.back() == "bytes=" + std::to_string(there) + "-");
}

TEST_CASE("sources are tried in their order, the server last, each going on where the one before ended") {
  Bench bench;
  FakeServer dead_end;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run({"https://127.0.0.1:1", bench.server.url() + "/nothing-here"}).has_value());
  CHECK(bench.fs.text(bench.staged) == kContent);
  CHECK(bench.server.asked() == std::vector<std::string>{"/nothing-here" + bench.blob, bench.blob});
}

TEST_CASE("a file that is nowhere is an error of its own, not a wait") {
  Bench bench;
  auto const got = bench.run();
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().kind == Kind::not_found);
}

TEST_CASE("what any kept version of any model has is copied, whatever its name, not fetched; a spoiled copy of it is not taken") {
  Bench bench;
  bench.keep(bench.other_model, "weights/old-name.bin", kContent);
  REQUIRE(bench.run().has_value());
  CHECK(bench.server.asked().empty());
  CHECK(bench.fs.text(bench.staged) == kContent);

  auto spoiled = kContent;
  spoiled[5] = static_cast<char>(spoiled[5] ^ 1);
  Bench other;
  auto const at = other.keep("reader", "model/part.bin", kContent, spoiled);
  other.server.answer(other.blob, other.ranged(kContent));
  REQUIRE(other.run().has_value());
  CHECK(other.fs.text(other.staged) == kContent);
  CHECK(other.fs.text(at) == spoiled);

  // Where two have it and the first is spoiled, the second serves.
  Bench both;
  both.keep("a-first", "part.bin", kContent, spoiled);
  both.keep("b-second", "part.bin", kContent);
  REQUIRE(both.run().has_value());
  CHECK(both.server.asked().empty());
}

TEST_CASE("a link in a kept version leads no copy elsewhere") {
  Bench bench;
  auto const at = bench.keep("reader", "model/part.bin", kContent);
  auto const folder = at.substr(0, at.rfind('/'));
  bench.fs.put("/outside/part.bin", kContent);
  REQUIRE(bench.fs.remove_tree(folder).has_value());
  REQUIRE(bench.fs.symlink("/outside", folder).has_value());
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run().has_value());
  CHECK(bench.server.asked() == std::vector<std::string>{bench.blob});
}

TEST_CASE("equal files are fetched once") {
  Bench bench;
  bench.variant.files.push_back({"again.bin", kContent.size(), crypto::sha256(kContent), false});
  bench.server.answer(bench.blob, bench.ranged(kContent));
  REQUIRE(bench.run().has_value());
  CHECK(bench.server.asked() == std::vector<std::string>{bench.blob});
  CHECK(bench.fs.text(bench.slots.staging("reader", bench.digest) + "/again.bin") == kContent);
  // After a cut between the two it is copied from the first.
  REQUIRE(bench.fs.remove(bench.slots.staging("reader", bench.digest) + "/again.bin").has_value());
  REQUIRE(bench.run().has_value());
  CHECK(bench.server.asked().size() == 1);
  CHECK(bench.fs.text(bench.slots.staging("reader", bench.digest) + "/again.bin") == kContent);
}

namespace {

/// Several files at once, on a real file system: the one in memory is for one thread.
struct ManyFiles {
  std::filesystem::path const root = std::filesystem::temp_directory_path() / ("fleet-download-" + to_hex(random_bytes()));
  FakeServer server;
  FakeClock fake{FakeFleet::now()};
  TrustedClock trusted = TrustedClock::load(system_fs(), fake, root / "floor");
  Slots slots{system_fs(), Layout{root}};
  wire::Variant variant{{"cam-a"}, {}};
  Sources sources;
  Helpers helpers{kHelpersMax};
  std::atomic<bool> stop{false};

  ManyFiles() {
    std::filesystem::create_directories(root);
    REQUIRE(system_fs().replace(root / "agent.yaml", "{}").has_value());
  }
  ~ManyFiles() { std::filesystem::remove_all(root); }
  static Bytes random_bytes() {
    Bytes out(8);
    system_random().fill(out);
    return out;
  }
  void add(int n) {
    for (int i = 0; i < n; ++i) {
      auto const content = kContent.substr(static_cast<std::size_t>(i) * 1000, 20'000);
      variant.files.push_back({"f" + std::to_string(i), content.size(), crypto::sha256(content), false});
      server.put("/blobs/sha256/" + crypto::sha256(content).hex(), content);
    }
  }
  Result<void> run() {
    Lines lines([this]() -> Result<std::shared_ptr<Remote>> { return std::shared_ptr<Remote>(server.remote(trusted)); }, &helpers);
    Throttle throttle(system_clock(), 0);
    Assemblers assemblers{kAssemblersMax};
    std::set<Digest> spent;
    Download download({system_fs(), slots, throttle, sources, assemblers}, {"reader", std::string(64, 'd'), variant, "cam-a", spent}, stop);
    FLEET_CHECK(download.plan({}));
    return download.run(lines);
  }
};

}  // namespace

TEST_CASE("several files come at once, each over a kept connection, and all are right") {
  ManyFiles many;
  many.add(40);
  REQUIRE(many.run().has_value());
  for (auto const& file : many.variant.files) {
    auto const found = crypto::sha256_file(system_fs(), many.slots.staging("reader", std::string(64, 'd')) + "/" + file.name);
    REQUIRE(found.has_value());
    CHECK(found->sha256 == file.sha256);
  }
  CHECK(many.server.asked().size() == 40);
  // Whoever helped is free for others.
  CHECK(many.helpers.try_acquire());
  CHECK(many.helpers.try_acquire());
}

TEST_CASE("of several files the one that is nowhere ends the download, and what came is kept") {
  ManyFiles many;
  many.add(12);
  many.server.drop("/blobs/sha256/" + many.variant.files[1].sha256.hex());
  auto const got = many.run();
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().kind == Kind::not_found);
  auto const asked = many.server.asked().size();
  many.server.put("/blobs/sha256/" + many.variant.files[1].sha256.hex(), kContent.substr(1000, 20'000));
  REQUIRE(many.run().has_value());
  CHECK(many.server.asked().size() - asked < 13);
}

TEST_CASE("an order ends the look at what is there, too, and takes nothing away") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  bench.fs.put(bench.staged, kContent);
  bench.stop = true;
  CHECK(bench.run().error().code == "interrupted");
  CHECK(bench.fs.text(bench.staged) == kContent);
  REQUIRE(bench.fs.remove(bench.staged).has_value());
  bench.keep("reader", "model/part.bin", kContent);
  CHECK(bench.run().error().code == "interrupted");
  bench.stop = false;
  REQUIRE(bench.run().has_value());
  CHECK(bench.ranges.empty());
}

TEST_CASE("without the space nothing is fetched") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  bench.fs.set_free(200'000);
  auto const got = bench.run();
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == "disk_full");
  CHECK(bench.server.asked().empty());
}

TEST_CASE("a disk that fills or fails while writing ends the download with its code, and it goes on later") {
  for (auto const& error : {Error{Kind::unavailable, "disk_full", "no space left"}, Error{Kind::io, "io_failed", "input/output error"}}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Bench bench;
      bench.server.answer(bench.blob, bench.ranged(kContent));
      bench.fs.fail_at(step, error);
      auto const got = bench.run();
      if (!bench.fs.was_hit()) break;
      REQUIRE_FALSE(got.has_value());
      CHECK(got.error().code == error.code);
      REQUIRE(bench.run().has_value());
      CHECK(bench.fs.text(bench.staged) == kContent);
      if (step > 40) break;
    }
  }
}

TEST_CASE("past the day's bytes a download waits for the next day and goes on where it was") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  Lines lines(bench.make_line());
  Throttle throttle(bench.fake, 0, Budget(bench.fs, "/agent/budget", 100'000));
  auto const go = [&] { return bench.go(lines, throttle); };
  auto const first = go();
  REQUIRE_FALSE(first.has_value());
  CHECK(first.error().code == "over_budget");
  auto const part = bench.fs.text(bench.staged)->size();
  CHECK(part >= 100'000);
  CHECK(part < kContent.size());
  CHECK(throttle.is_spent());
  for (int day = 0; day < 3; ++day) {
    bench.fake.advance(std::chrono::hours{24});
    if (go()) break;
  }
  CHECK(bench.fs.text(bench.staged) == kContent);
}

TEST_CASE("a stop ends a download at once and keeps what came") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  bench.stop = true;
  auto const got = bench.run();
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == "interrupted");
}

TEST_CASE("the cap of the device's owner holds") {
  Bench bench;
  bench.server.answer(bench.blob, bench.ranged(kContent));
  auto const from = system_clock().mono();
  REQUIRE(bench.run({}, 1'000'000).has_value());
  // 300 kB at 1 MB/s.
  CHECK(system_clock().mono() - from >= Millis{250});
}
