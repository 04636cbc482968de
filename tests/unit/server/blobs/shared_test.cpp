#include "server/blobs/arrival.hpp"
#include "server/blobs/batch.hpp"
#include "server/blobs/garbage.hpp"
#include "server/blobs/queries.hpp"
#include "server/blobs/readers.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace fleet;
using namespace fleet::blobs;
using namespace fleet::catalog;
using namespace fleet::catalog::test;

namespace {

using std::chrono::hours;

/// Blobs in a store that others write to, too.
struct Shared : Catalog {
  Shared() : Catalog(true) { add_model("reader"); }
  Result<Collection> collect(SysTime at) {
    Digest after{};
    for (;;) {
      FLEET_TRY(auto const step, store->write_value<Collection>(store::Lane::verbs, [&](store::Tx& tx) { return collect_garbage(tx, *blob_store, after, at); }));
      after = step.after;
      if (!step.more) break;
    }
    for (bool more = true; more;) {
      FLEET_TRY(more, remove_doomed(*store, *blob_store));
    }
    return Collection{};
  }
  Name name_of(Digest const& sha256) { return must(find_name(store->reader(), sha256)).value(); }
  bool lies_there(Name const& name) { return std::filesystem::exists(dir + "/shared/" + relative_path(name)); }
  std::string leftovers() { return read("SELECT count(*) FROM blob_leftovers"); }
};

}  // namespace

TEST_CASE_FIXTURE(Shared, "a name is used once: what goes late hits nothing that lives") {
  auto const sha256 = add_blob("weights");
  auto const first = name_of(sha256);
  CHECK_FALSE(first.generation.empty());
  CHECK(leftovers() == "0");
  now += hours{8 * 24};
  must(collect(now));
  CHECK(leftovers() == "1");
  CHECK(lies_there(first));
  add_blob("weights");
  auto const second = name_of(sha256);
  CHECK(second.generation != first.generation);
  must(publish_body("reader", body("1", "weights")));
  now += hours{25};
  must(collect(now));
  CHECK_FALSE(lies_there(first));
  CHECK(lies_there(second));
  must(blob_store->remove(first));  // of another node, later still
  CHECK(findings().empty());
  CHECK(must(given_back(store->reader())).blobs == 1);
}

TEST_CASE_FIXTURE(Shared, "what was brought and named by no row goes a day later, whatever was cut; one that took longer is told to come again") {
  auto const sha256 = crypto::sha256("late");
  auto const names = must(announce(uploads, {{sha256, 4}}, now));
  must(blob_store->put({{names.front(), "late"}}));
  must(collect(now + hours{23}));
  CHECK(lies_there(names.front()));
  must(collect(now + hours{25}));
  CHECK_FALSE(lies_there(names.front()));
  auto const named = write([&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(name_blob(tx, names.front(), now));
    return {};
  });
  CHECK(code_of(named) == "blob_late");
  CHECK_FALSE(must(find_name(store->reader(), sha256)).has_value());

  auto const doomed = must(announce(uploads, {{sha256, 4}}, now));
  script("UPDATE blob_leftovers SET doomed = 1");
  CHECK_MESSAGE(code_of(write([&](store::Tx& tx) -> Result<void> {
                  FLEET_CHECK(name_blob(tx, doomed.front(), now));
                  return {};
                })) == "blob_late",
                "from when it is being removed no row names it");
}

TEST_CASE_FIXTURE(Shared, "two who bring the same leave one, and the other's bytes go") {
  auto const sha256 = crypto::sha256("same");
  auto const one = must(announce(uploads, {{sha256, 4}}, now)), two = must(announce(uploads, {{sha256, 4}}, now));
  for (auto const& names : {one, two}) must(blob_store->put({{names.front(), "same"}}));
  must(write([&](store::Tx& tx) -> Result<void> {
    FLEET_TRY(bool const first, name_blob(tx, one.front(), now));
    FLEET_TRY(bool const second, name_blob(tx, two.front(), now));
    CHECK(first);
    CHECK_FALSE(second);
    return {};
  }));
  must(collect(now + hours{25}));
  CHECK(lies_there(one.front()));
  CHECK_FALSE(lies_there(two.front()));
}

TEST_CASE_FIXTURE(Shared, "a batch brings what is not there, once") {
  add_blob("one");
  auto const before = name_of(crypto::sha256("one"));
  auto const line = fmt::format(R"({{"files":[{{"sha256":"{}","size":3}},{{"sha256":"{}","size":3}},{{"sha256":"{}","size":3}}]}})", crypto::sha256("one").hex(), crypto::sha256("two").hex(),
                                crypto::sha256("two").hex());
  CHECK(must(store_batch(uploads, line + "\nonetwotwo", "token:ci", "", now)) == 3);
  CHECK(name_of(crypto::sha256("one")).generation == before.generation);
  CHECK(lies_there(name_of(crypto::sha256("two"))));
  CHECK(leftovers() == "0");
}

TEST_CASE_FIXTURE(Shared, "publications race with garbage whose day is always over: what was published is there, and what was not is told so") {
  constexpr int kReleases = 40;
  std::atomic<bool> ended{false};
  std::atomic<int> failed{0}, attempts{0};
  std::thread collector([&] {
    // Past the week of rows and the day of notes; files of uploads, whose time is the disk's, stay young.
    // A few times an attempt, somewhen within it: one that never rested would let nobody through.
    SeededRandom random(5);
    for (int turn = 0; !ended;) {
      if (turn == attempts) {
        std::this_thread::yield();
        continue;
      }
      turn = attempts;
      for (auto times = random.next() % 12; times > 0; --times) {
        if (!collect(now + hours{24 * (9 + static_cast<int>(times) % 3)})) ++failed;
      }
    }
  });
  int late = 0;
  for (int i = 0; i < kReleases; ++i) {
    auto const content = "weights" + std::to_string(i), version = std::to_string(i);
    for (int attempt = 0;; ++attempt) {
      REQUIRE(attempt < 1'000);
      ++attempts;
      auto const upload = must(begin_upload(uploads, crypto::sha256(content), content.size(), "token:ci", "", now));
      if (!upload.done) {
        auto const piece = upload.received < upload.size ? append_piece(uploads, upload.id, 0, as_bytes(content), now) : Result<Upload>(upload);
        auto const done = piece ? finish_upload(uploads, upload.id, now) : piece;
        if (!done) {
          // Its row was an open one's, its bytes are there: only the name was late.
          CHECK_MESSAGE((done.error().code == "blob_late" || done.error().code == "upload_lost"), done.error().code, ": ", done.error().detail);
          ++late;
          continue;
        }
      }
      auto const published = publish_body("reader", body(version, content));
      if (published) break;
      CHECK_MESSAGE((published.error().code == "unknown_blob" || published.error().code == "blob_lost"), published.error().code, ": ", published.error().detail);
      ++late;
    }
  }
  ended = true;
  collector.join();
  CHECK(failed == 0);
  must(collect(now + hours{24 * 10'000}));
  CHECK(read("SELECT count(*) FROM releases") == std::to_string(kReleases));
  CHECK(findings().empty());
  CHECK(leftovers() == "0");
  MESSAGE("had to come again: ", late);
}
