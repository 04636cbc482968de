#include "server/blobs/store/bucket_store.hpp"
#include "server/blobs/store/copies.hpp"
#include "server/blobs/store/open.hpp"
#include "tests/unit/server/blobs/store/memory_bucket.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <future>
#include <thread>

namespace fleet::blobs {
namespace {

template <class T>
T must(Result<T> got) {
  REQUIRE_MESSAGE(got.has_value(), (got ? "" : got.error().code + ": " + got.error().detail));
  return std::move(*got);
}
void must(Result<void> got) { REQUIRE_MESSAGE(got.has_value(), (got ? "" : got.error().code + ": " + got.error().detail)); }

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / make_ulid("fleet-blobs-", 0, system_random())).string();
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(Folder const&) = delete;
};

std::string read(LocalFile const& file) { return must(system_fs().read(file.path, 1U << 20)); }

struct Bench {
  Folder folder;
  MemoryBucket bucket;
  SeededRandom random{1};
  /// One more process at the same bucket.
  std::unique_ptr<BlobStore> node(std::string const& name, std::uint64_t copies = 1'000) {
    auto const place = must(s3::Place::parse("s3://bucket/fleet?endpoint=http://s3:1"));
    auto const environment = [](std::string const&) { return std::optional<std::string>("x"); };
    return must(in_bucket(place, {system_fs(), system_clock(), random, folder.path + "/" + name, copies, {}, environment, std::make_unique<MemoryTransport>(bucket)}));
  }
  static Name name(std::string const& content, std::string generation = "g1") { return {crypto::sha256(content), content.size(), std::move(generation)}; }
  static std::string key(Name const& name) { return "/bucket/fleet/" + relative_path(name); }
};

TEST_CASE("an upload that one process began another goes on with, and finishes") {
  Bench bench;
  auto const one = bench.node("one"), two = bench.node("two");
  must(one->begin_upload("up"));
  must(one->append("up", 0, as_bytes("abc")));
  must(one->append("up", 3, as_bytes("torn piece")));  // counted by nobody
  must(two->append("up", 3, as_bytes("defg")));
  must(one->append("up", 7, as_bytes("h")));
  auto const gathered = must(two->gather("up", 8));
  CHECK(read(gathered) == "abcdefgh");
  auto const name = Bench::name("abcdefgh");
  must(two->keep(name, "up"));
  CHECK(bench.bucket.objects.at(Bench::key(name)) == "abcdefgh");
  CHECK_MESSAGE(two->here(name).has_value(), "who put it together has a copy");
  must(one->append("up", 8, as_bytes("more than was counted")));
  must(one->drop_upload("up", 8));
  CHECK_MESSAGE(bench.bucket.objects.size() == 1, "no piece is left over");
  CHECK(one->gather("up", 8).error().kind == Kind::not_found);
}

TEST_CASE("what lies elsewhere is fetched once, checked, and read again from its copy") {
  Bench bench;
  auto const store = bench.node("one");
  auto const name = Bench::name("weights");
  must(store->put({{name, "weights"}, {Bench::name("other"), "other"}}));
  CHECK_FALSE(store->here(name).has_value());
  CHECK(read(must(store->fetch(name))) == "weights");
  auto const gets = bench.bucket.gets;
  CHECK(read(must(store->fetch(name))) == "weights");
  CHECK(read(store->here(name).value()) == "weights");
  CHECK(bench.bucket.gets == gets);
  CHECK(must(store->inspect(name)).sha256 == name.sha256);
  CHECK(read(must(bench.node("one")->fetch(name))) == "weights");
  CHECK_MESSAGE(bench.bucket.gets == gets + 1, "copies outlive the process; only inspect read it again");

  auto const spoiled = Bench::name("spoiled");
  bench.bucket.objects[Bench::key(spoiled)] = "Spoiled";
  CHECK(store->fetch(spoiled).error().code == "blob_lost");
  CHECK(store->figures()->asked.altered == 1);
  CHECK_FALSE(store->here(spoiled).has_value());
  auto shorter = Bench::name("shorter");
  bench.bucket.objects[Bench::key(shorter)] = "short";
  CHECK(store->fetch(Bench::name("absent")).error().code == "blob_lost");
  must(store->remove(name));
  CHECK_FALSE(bench.bucket.objects.contains(Bench::key(name)));
}

TEST_CASE("bytes leave while they come") {
  Bench bench;
  std::string const content(5'000, 'x');
  auto const name = Bench::name(content);
  auto const store = bench.node("one", 0);  // no copy fits
  must(store->put({{name, content}}));
  auto source = must(store->open(name));
  CHECK(store->figures()->streams == 1);
  auto const get = [&](std::uint64_t offset, std::size_t most) {
    std::promise<Result<std::string>> promise;
    source->read(offset, most, [&](Result<std::string> piece) { promise.set_value(std::move(piece)); });
    return promise.get_future().get();
  };
  CHECK(must(get(0, 1'000)).size() == 1'000);
  CHECK(must(get(4'500, 1'000)).size() == 500);
  bench.bucket.status = 403;
  CHECK(get(0, 10).error().code == "blobs_refused");
  CHECK(store->trouble()->error.code == "blobs_refused");
  source.reset();
  CHECK(store->figures()->streams == 0);
  store->stop();
}

TEST_CASE("copies go by their age, but none that is in use") {
  Folder folder;
  Copies copies(system_fs(), folder.path + "/copies", 10);
  must(copies.settle());
  int brought = 0;
  auto const bring = [&](Name const& name, std::string const& path) {
    ++brought;
    return system_fs().replace(path, std::string(name.size, 'x'));
  };
  Name const a{crypto::sha256("a"), 4, "g"}, b{crypto::sha256("b"), 4, "g"}, c{crypto::sha256("c"), 4, "g"}, large{crypto::sha256("l"), 50, "g"};
  {
    auto const used = must(copies.fetch(a, bring));
    must(copies.fetch(b, bring));
    must(copies.fetch(c, bring));
    CHECK(copies.find(a).has_value());
    CHECK_FALSE(copies.find(b).has_value());
    must(copies.fetch(large, bring));
    CHECK_MESSAGE(std::filesystem::exists(used.path), "in use, beyond the bound");
  }
  CHECK(copies.is_over());
  copies.trim();
  CHECK_FALSE(copies.is_over());
  must(copies.fetch(b, bring));
  CHECK(copies.figures().bytes <= 10);
  CHECK_FALSE(copies.find(large).has_value());
  CHECK(brought == 5);
  auto const failed = copies.fetch(a, [](Name const&, std::string const&) { return Result<void>(Error{Kind::io, "no", "no"}); });
  CHECK((failed.has_value() || failed.error().code == "no"));
  std::filesystem::create_directories(folder.path + "/copies/odd");
  Copies again(system_fs(), folder.path + "/copies", 10);
  must(again.settle());
  CHECK_MESSAGE(again.find(b).has_value(), "what was there is known");
  CHECK_FALSE(std::filesystem::exists(folder.path + "/copies/odd"));
}

TEST_CASE("who wants what is being brought waits for it") {
  Folder folder;
  Copies copies(system_fs(), folder.path + "/copies", 100);
  must(copies.settle());
  Name const a{crypto::sha256("a"), 4, "g"};
  std::atomic<int> brought{0};
  std::promise<void> begun, go;
  auto const slow = [&](Name const&, std::string const& path) {
    ++brought;
    begun.set_value();
    go.get_future().wait();
    return system_fs().replace(path, "four");
  };
  auto const bring_now = [&](Name const&, std::string const& path) {
    ++brought;
    return system_fs().replace(path, "four");
  };
  std::thread first([&] { CHECK(copies.fetch(a, slow).has_value()); });
  begun.get_future().wait();
  std::thread second([&] { CHECK(copies.fetch(a, bring_now).has_value()); });
  go.set_value();
  first.join();
  second.join();
  CHECK(brought == 1);
}

TEST_CASE("a shared folder is a store like any other; marks tell whose it is") {
  Folder folder;
  Bench bench;
  std::string const data = folder.path + "/data";
  SeededRandom random{1};
  auto const opened = must(open("file://" + folder.path + "/shared", {system_fs(), system_clock(), random, data, data + "/scratch"}));
  CHECK(opened->is_shared());
  auto const bucket = bench.node("one");
  for (auto* store : {opened.get(), bucket.get()}) {
    CHECK(store->read_mark().error().kind == Kind::not_found);
    must(store->mark("blobs-1"));
    CHECK(must(store->read_mark()) == "blobs-1");
    must(store->begin_upload("up"));
    must(store->append("up", 0, as_bytes("bytes")));
    must(store->gather("up", 5));
    auto const name = Bench::name("bytes", "g7");
    must(store->keep(name, "up"));
    must(store->put_file(Bench::name("bytes", "g8"), must(store->fetch(name)).path));
    must(store->remove(name));
    CHECK(read(must(store->fetch(Bench::name("bytes", "g8")))) == "bytes");
    CHECK(store->fetch(Bench::name("absent")).error().code == "blob_lost");
  }
  CHECK(std::filesystem::exists(folder.path + "/shared/" + relative_path(Bench::name("bytes", "g8"))));
  for (auto const* const bad : {"relative/path", "/", "https://x", "s3://", "/with space"}) CHECK_MESSAGE(check_url(bad).error().code == "bad_blobs", bad);
  CHECK_FALSE(must(open("", {system_fs(), system_clock(), random, data, data + "/scratch"}))->is_shared());
}

}  // namespace
}  // namespace fleet::blobs
