#include "tests/crash/disk.hpp"

#include "core/base/fs.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <set>

using namespace fleet;
using crash::Call;
using crash::Disk;
using crash::Order;

namespace {

struct Bench {
  Disk disk;
  std::unique_ptr<Fs> fs = make_fs(disk);
  Bench() { disk.make_dirs("/d"); }
  Disk cut(Order order, std::uint64_t seed = 1) const {
    SeededRandom random(seed);
    return disk.after_cut(order, random);
  }
  /// What any cut may leave of a file.
  std::set<std::optional<std::string>> left(std::string const& path, Order order) const {
    std::set<std::optional<std::string>> out;
    for (std::uint64_t seed = 1; seed < 200; ++seed) out.insert(cut(order, seed).text(path));
    return out;
  }
  std::unique_ptr<File> make(std::string const& path, std::string const& content) const {
    auto file = fs->open(path, Fs::Mode::create_new).value();
    REQUIRE(file->write_at(0, as_bytes(content)).has_value());
    return file;
  }
};

}  // namespace

TEST_CASE("what was not synced is lost, kept, or there in part, as the order says") {
  Bench bench;
  auto const file = bench.make("/d/f", std::string(1200, 'a'));
  CHECK_FALSE(bench.cut(Order::lost).exists("/d/f"));
  CHECK_FALSE(bench.cut(Order::content).exists("/d/f"));
  CHECK(bench.cut(Order::kept).text("/d/f") == std::string(1200, 'a'));
  CHECK(bench.cut(Order::names).text("/d/f") == "");
  CHECK(bench.cut(Order::sizes).text("/d/f") == std::string(1200, '\0'));
  auto const some = bench.left("/d/f", Order::mixed);
  CHECK(some.contains(std::nullopt));
  CHECK(some.contains(std::string(512, 'a') + std::string(688, '\0')));  // torn at a sector
  for (auto const& one : some)
    if (one) CHECK((one->empty() || one->size() == 1200));
}

TEST_CASE("a file is kept by its sync, its name by that of the folder, its mode by fsync alone") {
  Bench bench;
  auto const file = bench.make("/d/f", "content");
  REQUIRE(file->sync().has_value());
  CHECK_FALSE(bench.cut(Order::lost).exists("/d/f"));
  REQUIRE(bench.fs->sync_dir("/d").has_value());
  CHECK(bench.cut(Order::lost).text("/d/f") == "content");
  CHECK(bench.left("/d/f", Order::mixed) == std::set<std::optional<std::string>>{"content"});
  REQUIRE(bench.fs->set_executable("/d/f", true).has_value());
  REQUIRE(file->sync().has_value());
  CHECK_FALSE(bench.cut(Order::lost).is_executable("/d/f"));
  REQUIRE(file->sync_all().has_value());
  CHECK(bench.cut(Order::lost).is_executable("/d/f"));
}

TEST_CASE("a synced name without its content is a file of no length") {
  Bench bench;
  auto const file = bench.make("/d/f", "content");
  REQUIRE(bench.fs->sync_dir("/d").has_value());
  CHECK(bench.cut(Order::lost).text("/d/f") == "");
}

TEST_CASE("a rename is whole: the new name has what it had or what it gets, and the old one may be there beside it") {
  Bench bench;
  bench.disk.put("/d/f", "old");
  auto const file = bench.make("/d/n", "new");
  REQUIRE(file->sync().has_value());
  REQUIRE(bench.fs->sync_dir("/d").has_value());
  REQUIRE(bench.fs->rename("/d/n", "/d/f").has_value());
  bool both = false, before = false, after = false;
  for (std::uint64_t seed = 1; seed < 100; ++seed) {
    auto const left = bench.cut(Order::mixed, seed);
    auto const text = left.text("/d/f");
    CHECK((text == "old" || text == "new"));
    if (text == "old") CHECK(left.text("/d/n") == "new");
    before = before || text == "old";
    after = after || (text == "new" && !left.exists("/d/n"));
    both = both || (text == "new" && left.exists("/d/n"));
  }
  CHECK((both && before && after));
  REQUIRE(bench.fs->sync_dir("/d").has_value());
  CHECK(bench.cut(Order::lost).text("/d/f") == "new");
}

TEST_CASE("a sync that failed loses what it was to write, and the next one does not bring it back") {
  Bench bench;
  bench.disk.put("/d/f", "old");
  auto const file = bench.fs->open("/d/f", Fs::Mode::write).value();
  REQUIRE(file->write_at(0, as_bytes(std::string_view("new"))).has_value());
  bench.disk.refuse = [](Call call, std::string const&) { return call == Call::datasync ? EIO : 0; };
  CHECK(file->sync().error().code == "io_error");
  bench.disk.refuse = {};
  REQUIRE(file->sync().has_value());
  CHECK(bench.disk.text("/d/f") == "new");
  CHECK(bench.cut(Order::lost).text("/d/f") == "old");
}

TEST_CASE("short writes and interrupted calls are gone on with") {
  Bench bench;
  int interrupted = 0;
  bench.disk.refuse = [&](Call call, std::string const&) { return call == Call::write ? Disk::kShort : call == Call::datasync && interrupted++ == 0 ? EINTR : 0; };
  REQUIRE(bench.fs->replace("/d/f", "some content").has_value());
  CHECK(interrupted == 2);
  CHECK(bench.cut(Order::lost).text("/d/f") == "some content");
}

TEST_CASE("on a full disk nothing is made and nothing grows, but into what was reserved") {
  Bench bench;
  bench.disk.put("/d/f", "1234");
  auto const file = bench.fs->open("/d/f", Fs::Mode::write).value();
  REQUIRE(file->reserve(4).has_value());
  bench.disk.full_errno = EDQUOT;
  CHECK(bench.fs->replace("/d/g", "x").error().code == "disk_full");
  CHECK(file->write_at(0, as_bytes(std::string_view("5678"))).has_value());
  CHECK(file->write_at(4, as_bytes(std::string_view("9012"))).has_value());
  CHECK(file->write_at(8, as_bytes(std::string_view("3"))).error().code == "disk_full");
  CHECK(bench.fs->rename("/d/f", "/d/h").has_value());
}

TEST_CASE("links, folders and trees are what they are on a real disk") {
  Bench bench;
  REQUIRE(bench.fs->make_dirs("/d/a/b").has_value());
  REQUIRE(bench.fs->symlink("a/b", "/d/link").has_value());
  bench.disk.put("/d/a/b/f", "x");
  CHECK(bench.fs->read("/d/link/f", 10).value() == "x");
  CHECK(bench.fs->read_link("/d/link").value() == "a/b");
  CHECK(bench.fs->open("/d/link", Fs::Mode::read).error().kind == Kind::io);
  CHECK(bench.fs->list("/d").value() == std::vector<std::string>{"a", "link"});
  CHECK(bench.fs->remove("/d/a").error().kind == Kind::conflict);
  REQUIRE(bench.fs->remove_tree("/d/link").has_value());
  CHECK(bench.disk.exists("/d/a/b/f"));
  REQUIRE(bench.fs->remove_tree("/d/a").has_value());
  CHECK(bench.disk.names("/d").empty());
  CHECK(bench.fs->read("/d/a/b/f", 10).error().kind == Kind::not_found);
  auto const held = bench.fs->lock("/d/lock");
  REQUIRE(held.has_value());
  CHECK(bench.fs->lock("/d/lock").error().code == "locked");
}
