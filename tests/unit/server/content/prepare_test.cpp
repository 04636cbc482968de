#include "core/content/assemble_file.hpp"
#include "core/content/sealed_source.hpp"
#include "core/trust/dsse.hpp"
#include "server/blobs/readers.hpp"
#include "server/content/paths.hpp"
#include "server/content/preparer.hpp"
#include "server/content/queries.hpp"
#include "server/content/recipes.hpp"
#include "server/content/wanted.hpp"
#include "server/signing/data_keys.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace fleet;
using namespace fleet::routes;
using catalog::test::must;

namespace {

std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::string out(bytes, '\0');
  SeededRandom random{seed};
  random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
  return out;
}

/// A server with releases of a model whose files are large enough, and devices that run some.
struct House : catalog::test::Catalog {
  FakeClock clock{now};
  Services services{.data_dir = dir, .clock = clock, .fs = system_fs(), .random = system_random(), .store = *store, .ca = {}, .server_name = "test", .devices_url = {}};
  std::string const one = noise(1, 700'000);
  std::string const two = noise(2, 1'000) + one.substr(0, 300'000) + noise(3, 2'000) + one.substr(300'000);
  int devices = 0;

  House() {
    services.keys = &keys;
    services.blobs = blob_store.get();
    add_model("reader");
  }
  catalog::Release add(std::string const& version, std::string const& content, std::string const& name = "model.bin") {
    add_blob(content);
    return must(publish_body("reader", fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{}]}}]}})", version, file_json(name, content)))).release;
  }
  /// So many devices run it; each was told of `named`.
  void run(std::string const& version, int count, std::int64_t named = 0) {
    for (int i = 0; i < count; ++i) {
      auto const n = ++devices;
      script(fmt::format("INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES ({0}, 'd{0}', 'cam-a', 'active', x'{1}', 0, 0);"
                         "INSERT INTO device_models (device, model, running, since) VALUES ({0}, 'reader', '{2}', 0);",
                         n, crypto::sha256(std::to_string(n)).hex(), version));
      if (named != 0) script(fmt::format("INSERT INTO named_releases (device, release) VALUES ({}, {})", n, named));
    }
  }
  void prepare(std::uint64_t bytes_max = std::uint64_t{1} << 30) {
    Preparer preparer(services, bytes_max);
    must(preparer.settle());
    while (must(preparer.round())) {
    }
  }
  std::vector<wire::Route> routes(catalog::Release const& release) {
    auto const document = must(wire::decode_release(release.document));
    auto const all = must(routes_of(store->reader(), document, release.digest, "cam-a"));
    return all.files.empty() ? std::vector<wire::Route>{} : all.files[0].routes;
  }
  std::string states() { return read("SELECT coalesce(group_concat(state, ' '), '') FROM (SELECT state FROM content_recipes ORDER BY n)"); }
  std::size_t files() {
    std::size_t out = 0;
    if (std::filesystem::exists(dir + "/content"))
      for (auto const& entry : std::filesystem::recursive_directory_iterator(dir + "/content")) out += entry.is_regular_file() ? 1U : 0U;
    return out;
  }
};

}  // namespace

TEST_CASE("a delta from what devices run is prepared, tried out and told; what cannot get smaller is not") {
  House house;
  house.add("1", house.one);
  auto const release = house.add("2", house.two);
  house.run("1", 3, release.n);
  house.prepare();
  auto const routes = house.routes(release);
  REQUIRE(routes.size() == 1);
  CHECK(routes[0].kind == "binary_delta");
  CHECK(routes[0].bases == std::vector{crypto::sha256(house.one)});
  CHECK(routes[0].bytes + routes[0].recipe_bytes < 60'000);
  CHECK(routes[0].memory > 0);
  // Of both releases the whole file compressed, and of each a delta from the other one's; random bytes do not get smaller.
  CHECK(house.read("SELECT count(*) FROM content_recipes WHERE state = 'refused' AND base = zeroblob(32)") == "2");

  // The device it was named to is told, signed as directives are, and may read what the routes name; another may not.
  auto& reader = house.store->reader();
  auto const signed_routes = must(sign_routes(reader, house.keys, release.digest, 1));
  CHECK(signed_routes.wanting == 0);
  auto const& envelope = signed_routes.envelope;
  auto const keys = must(signing::keys_of_role(reader, "directive-root"));
  auto const payload = must(trust::open_envelope(as_bytes(envelope), wire::kRoutesPayloadType, keys, wire::kRoutesEnvelopeBytesMax));
  auto const told = must(wire::decode_routes(as_text(payload)));
  CHECK(told.release == release.digest);
  CHECK(told.files.at(0).routes == routes);
  house.run("1", 1);
  CHECK(sign_routes(reader, house.keys, release.digest, 4).error().code == "unknown_release");
  for (auto const& [device, may] : {std::pair{1, true}, std::pair{4, false}}) CHECK(must(may_device_read(reader, routes[0].recipe, device)) == may);
  CHECK(must(is_in_release(reader, routes[0].recipe, "reader")));
  CHECK_FALSE(must(is_in_release(reader, routes[0].recipe, "other")));
  CHECK(must(object_size(reader, routes[0].recipe)) == routes[0].recipe_bytes);
  CHECK_FALSE(must(object_size(reader, crypto::sha256("x"))).has_value());
}

TEST_CASE("a protected release's files travel encrypted alone, each release with a key of its own") {
  House house;
  house.script("UPDATE models SET protected = 'disk'");
  std::string const small = "labels: yes, no, perhaps";
  auto const first = house.add("1", house.one);
  house.add_blob(house.two);
  house.add_blob(small);
  auto const release = must(house.publish_body("reader", fmt::format(R"({{"version":"2","variants":[{{"hardware":["cam-a"],"files":[{},{}]}}]}})", house.file_json("model.bin", house.two), house.file_json("labels.txt", small)))).release;
  CHECK(release.document.find(R"("protected":"disk")") != std::string::npos);
  house.run("1", 1, release.n);
  auto& reader = house.store->reader();
  // Nothing is ready: whoever asks has it made, once.
  CHECK(must(sign_routes(reader, house.keys, release.digest, 1)).wanting == release.n);
  must(want_encrypted(*house.store, release.n, house.now));
  auto const waiting = house.read("SELECT count(*) FROM content_recipes WHERE state = 'waiting'");
  CHECK(waiting == "3");
  house.script("UPDATE content_recipes SET wanted_at = 1");
  must(want_encrypted(*house.store, release.n, house.now));
  CHECK(house.read("SELECT DISTINCT wanted_at FROM content_recipes") == "1");

  house.prepare();
  CHECK(must(sign_routes(reader, house.keys, release.digest, 1)).wanting == 0);
  auto const all = must(routes_of(reader, must(wire::decode_release(release.document)), release.digest, "cam-a"));
  REQUIRE(all.files.size() == 2);
  CHECK(all.files[0].routes.size() == 2);
  CHECK(all.files[0].routes[0].bases == std::vector{crypto::sha256(house.one)});
  CHECK(all.files[0].routes[1].bases.empty());  // random bytes get no smaller, and travel so all the same
  CHECK(all.files[1].routes.size() == 1);       // however small

  // What lies there opens with the release's key, and is nothing to whoever has another.
  auto const key = must(signing::data_key(house.keys, release.digest)), other = must(signing::data_key(house.keys, first.digest));
  auto const whole = all.files[0].routes[1];
  auto const sent = must(house.services.fs.read(object_path(house.dir, whole.recipe), 1U << 20));
  CHECK(crypto::sha256(sent) == whole.recipe);
  content::MemorySource source(as_bytes(sent));
  content::SealedSource opened(source, key), not_opened(source, other);
  auto recipe = must(content::RecipeReader::open(opened));
  CHECK(recipe.head().sha256 == crypto::sha256(house.two));
  CHECK(content::RecipeReader::open(not_opened).error().code == "not_opened");
  CHECK(content::RecipeReader::open(source).error().code == "bad_recipe");
  std::unique_ptr<content::FileSource> object;
  auto const open = [&](content::Segment const& segment) -> Result<content::Source*> {
    FLEET_TRY(object, content::FileSource::open(house.services.fs, object_path(house.dir, segment.sha256)));
    return object.get();
  };
  std::string made;
  auto const take = [&](content::Block const& block, BytesView bytes) -> Result<void> {
    CHECK(block.sealed);
    made += as_text(bytes);
    return {};
  };
  content::Assembler with(key), without;
  CHECK(content::assemble_file(recipe, without, {open, {}}, take).error().code == "bad_block");
  must(content::assemble_file(recipe, with, {open, {}}, take));
  CHECK(made == house.two);
  for (auto const& entry : std::filesystem::recursive_directory_iterator(house.dir + "/content"))
    if (entry.is_regular_file()) {
      auto const bytes = must(house.services.fs.read(entry.path(), 8U << 20));
      CHECK(bytes.find(house.two.substr(2'000, 32)) == std::string::npos);
      CHECK(bytes.find(small) == std::string::npos);
    }
  // The file as it is goes to nobody by network; the same bytes in a release that is not protected would.
  CHECK_FALSE(must(blobs::may_device_read(reader, crypto::sha256(house.two), 1)));
  CHECK(must(may_device_read(reader, whole.recipe, 1)));
  house.run("1", 1);
  house.script("UPDATE devices SET cache = '[]' WHERE n = 2");
  CHECK_FALSE(must(blobs::may_device_read(reader, crypto::sha256(house.two), 2)));
  CHECK(must(may_device_read(reader, whole.recipe, 2)));

  // Revoked, what was prepared for it goes.
  house.script("UPDATE releases SET state = 'revoked' WHERE n = " + std::to_string(release.n));
  house.prepare();
  CHECK(house.read("SELECT count(*) FROM content_recipes WHERE sealed = " + std::to_string(release.n)) == "0");
  CHECK_FALSE(must(object_size(reader, whole.recipe)).has_value());
}

TEST_CASE("what a protected release cannot travel without is encrypted where nothing else is prepared, or has room") {
  for (std::uint64_t const room : {std::uint64_t{0}, std::uint64_t{1'000}}) {
    House house;
    house.add("1", house.one);
    house.script("UPDATE models SET protected = 'disk'");
    auto const release = house.add("2", house.two);
    house.run("1", 1, release.n);
    house.prepare(room);
    CHECK(house.read("SELECT group_concat(sealed = " + std::to_string(release.n) + " AND base = zeroblob(32)) FROM content_recipes WHERE state = 'ready'") == "1");
    CHECK(must(sign_routes(house.store->reader(), house.keys, release.digest, 1)).wanting == 0);
  }
}

TEST_CASE("the same file is prepared for everybody and for a protected release, each in its own way") {
  House house;
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += std::to_string(i * 7 % 1'000);
  auto const open = house.add("1", text);
  house.script("UPDATE models SET protected = 'disk'");
  auto const closed = house.add("2", text);
  house.prepare();
  auto const one = house.routes(open), two = house.routes(closed);
  REQUIRE((one.size() == 1 && two.size() == 1));
  CHECK(one[0].recipe != two[0].recipe);
  auto const items = must(routes_json(house.store->reader(), must(wire::decode_release(closed.document))));
  CHECK(items.at(0).find(R"("encrypted":true)") != std::string::npos);
  CHECK(must(travel_of(house.store->reader(), must(wire::decode_release(closed.document)), nullptr, "cam-a")).kind == "compressed");
  // What is open to everybody in one release is read by its digest.
  house.run("1", 1, open.n);
  CHECK(must(blobs::may_device_read(house.store->reader(), crypto::sha256(text), 1)));
}

TEST_CASE("a cache reads the objects of its models, and no others") {
  House house;
  house.add("1", house.one);
  auto const release = house.add("2", house.two);
  house.run("1", 2);
  house.prepare();
  auto const recipe = house.routes(release).at(0).recipe;
  for (auto const& [models, may] : {std::pair{"[]", true}, std::pair{R"(["other","reader"])", true}, std::pair{R"(["other"])", false}}) {
    house.script(fmt::format("UPDATE devices SET cache = '{}' WHERE n = 2", models));
    CHECK(must(may_device_read(house.store->reader(), recipe, 2)) == may);
  }
}

TEST_CASE("what compresses is told compressed, for devices that run nothing; small files travel as they are") {
  House house;
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += std::to_string(i * 7 % 1'000);
  auto const release = house.add("1", text);
  house.add("2", text.substr(0, kFileBytesMin - 1));
  house.prepare();
  auto const routes = house.routes(release);
  REQUIRE(routes.size() == 1);
  CHECK(routes[0].kind == "compressed");
  CHECK(routes[0].bases.empty());
  CHECK(house.states() == "ready");
}

TEST_CASE("the file that was before is found under another name, too") {
  House house;
  house.add("1", house.one, "old.bin");
  auto const release = house.add("2", house.two, "new.bin");
  house.run("1", 1);
  house.prepare();
  CHECK(house.routes(release).size() == 1);
}

TEST_CASE("a delta is measured by what it replaces: one that saves too little is refused and leaves nothing behind") {
  House house;
  house.add("1", house.one);
  auto const release = house.add("2", noise(9, 700'000));
  house.run("1", 1);
  house.prepare();
  CHECK(house.routes(release).empty());
  CHECK(house.read("SELECT count(*) FROM content_recipes WHERE state <> 'refused'") == "0");
  CHECK(house.files() == 0);
  auto const items = must(routes_json(house.store->reader(), must(wire::decode_release(release.document))));
  REQUIRE(items.size() == 1);
  CHECK(items[0].find(R"("state":"refused")") != std::string::npos);
  CHECK(items[0].find(R"("from":"reader@1")") != std::string::npos);
}

TEST_CASE("what was revoked goes, and what nobody asked for in a week") {
  House house;
  house.add("1", house.one);
  house.add("2", house.two);
  house.run("1", 1);
  house.prepare();
  CHECK(house.files() > 0);
  must(house.revoke_it("reader", "2"));
  house.prepare();
  CHECK(house.files() == 0);
  CHECK(house.read("SELECT count(*) FROM content_recipes c JOIN releases r ON r.n = c.release WHERE r.state = 'revoked'") == "0");

  House other;
  other.add("1", other.one);
  auto const release = other.add("2", other.two);
  other.run("1", 1);
  other.prepare();
  other.add("3", noise(7, 100'000));
  other.add("4", noise(8, 100'000));
  other.clock.advance(std::chrono::hours{24 * 6});
  other.prepare();
  CHECK(other.routes(release).size() == 1);
  other.clock.advance(std::chrono::hours{25});
  other.prepare();
  CHECK(other.routes(release).empty());
}

TEST_CASE("what the disk lost is noticed at start and made again; what no row names is swept") {
  House house;
  house.add("1", house.one);
  auto const release = house.add("2", house.two);
  house.run("1", 1);
  house.prepare();
  auto const before = house.routes(release);
  REQUIRE(std::filesystem::remove(object_path(house.dir, before.at(0).recipe)));
  auto const stray = object_path(house.dir, crypto::sha256("stray"));
  std::filesystem::create_directories(stray.substr(0, stray.rfind('/')));
  must(system_fs().replace(stray, "left over"));
  auto const count = house.files();
  house.prepare();
  CHECK(house.routes(release) == before);  // the same inputs, the same bytes
  CHECK(house.files() == count);
  CHECK_FALSE(std::filesystem::exists(stray));
}

namespace {

/// Ends the work at the n-th look at the clock.
struct EndingClock final : Clock {
  EndingClock(Clock& real_clock, std::atomic<bool>& ends, int looks) : below(real_clock), stop(ends), left(looks) {}
  SysTime wall() const override { return below.wall(); }
  MonoTime mono() const override {
    if (--left == 0) stop = true;
    return below.mono();
  }
  Clock& below;
  std::atomic<bool>& stop;
  mutable int left;
};

}  // namespace

TEST_CASE("a server that ends in its midst goes on from the checkpoint, to the same recipe") {
  House house;
  auto const base = noise(11, 5'000'000);
  auto target = base;
  for (std::size_t at = 1'000; at < target.size(); at += 400'000) target[at] = static_cast<char>(target[at] + 1);
  auto const first = house.add("1", base.substr(0, 4'000'000));
  auto const release = house.add("2", target.substr(0, 4'000'000));
  house.run("1", 1);
  must(note_wanted(*house.store, must(wanted_of(house.store->reader(), release.n, true)), house.now));
  std::vector<std::int64_t> bases;
  for (int ends = 2; ends < 6; ++ends) {
    std::atomic<bool> stop{false};
    EndingClock clock(house.clock, stop, ends);
    MakerContext const context{*house.store, system_fs(), clock, house.dir, *house.blob_store, house.keys, stop};
    // The delta, not what starts from nothing.
    auto task = must(next_task(house.store->reader()));
    REQUIRE(task.has_value());
    if (task->base == Digest{}) task = must(next_task(house.store->reader(), {task->n}));
    REQUIRE(task.has_value());
    auto const made = make_recipe(context, *task);
    if (made) break;
    CHECK(made.error().code == "interrupted");
    CHECK(std::filesystem::exists(work_dir(house.dir, task->n) + "/checkpoint"));
  }
  house.prepare();
  auto const routes = house.routes(release);
  REQUIRE(routes.size() == 1);
  CHECK(routes[0].bytes < 400'000);
  CHECK_FALSE(std::filesystem::exists(house.dir + "/content/work/" + house.read("SELECT max(n) FROM content_recipes")));
}

TEST_CASE("the disk's share is held to: what no longer is asked for goes first, and what does not fit waits") {
  House house;
  house.add("1", house.one);
  auto const release = house.add("2", house.two);
  house.run("1", 1);
  house.prepare(500'000);
  CHECK(house.routes(release).empty());
  CHECK(house.states().find("ready") == std::string::npos);
  house.prepare(2'000'000);
  CHECK(house.routes(release).size() == 1);
}

TEST_CASE("how a release travels is told by what runs: by a delta, as it is, or not at all") {
  House house;
  auto const first = house.add("1", house.one);
  auto const release = house.add("2", house.two);
  house.run("1", 1);
  house.prepare();
  auto const to = must(wire::decode_release(release.document)), from = must(wire::decode_release(first.document));
  auto& reader = house.store->reader();
  CHECK(must(travel_of(reader, to, &from, "cam-a")).kind == "binary_delta");
  CHECK(must(travel_of(reader, to, &from, "cam-a")).bytes < 60'000);
  auto const fresh = must(travel_of(reader, to, nullptr, "cam-a"));
  CHECK(fresh.kind == "as_it_is");
  CHECK(fresh.bytes == house.two.size());
  CHECK(must(travel_of(reader, to, &to, "cam-a")).bytes == 0);
  auto const all = must(figures(reader));
  CHECK(all.bytes > 0);
  CHECK(all.objects >= 2);
}

TEST_CASE("what a device keeps for another condition is brought by a delta from its own namesake") {
  House house;
  auto const add = [&](std::string const& version, std::string const& own, std::string const& small) {
    house.add_blob(own);
    house.add_blob(small);
    return must(house.publish_body("reader", fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{}]}},{{"name":"small","hardware":["cam-a"],"files":[{}]}}],)"
                                                         R"("manifest":{{"variants":{{"small":{{"when":{{"battery_below":"30%"}}}}}}}}}})",
                                                         version, house.file_json("model.bin", own), house.file_json("model.bin", small))))
        .release;
  };
  auto const small = noise(7, 400'000);
  auto const first = add("1", house.one, small);
  auto const release = add("2", house.two, small.substr(0, 200'000) + noise(8, 500) + small.substr(200'000));
  house.run("1", 1);
  house.prepare();
  auto const to = must(wire::decode_release(release.document)), from = must(wire::decode_release(first.document));
  auto const told = must(routes_of(house.store->reader(), to, release.digest, "cam-a"));
  REQUIRE(told.files.size() == 2);
  CHECK(told.files[0].routes.at(0).bases == std::vector{crypto::sha256(house.one)});
  CHECK(told.files[1].routes.at(0).bases == std::vector{crypto::sha256(small)});
  auto const travel = must(travel_of(house.store->reader(), to, &from, "cam-a"));
  CHECK(travel.size == house.two.size() + 400'500);
  CHECK(travel.bytes < 80'000);
}
