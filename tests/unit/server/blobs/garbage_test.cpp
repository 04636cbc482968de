#include "server/blobs/garbage.hpp"

#include "server/blobs/batch.hpp"
#include "server/blobs/store/paths.hpp"
#include "server/blobs/queries.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::blobs;
using namespace fleet::catalog;
using namespace fleet::catalog::test;

namespace {

using std::chrono::hours;

struct Garbage : Catalog {
  Garbage() { add_model("reader"); }
  Collection collect(Digest const& after = {}) {
    return must(store->write_value<Collection>(store::Lane::verbs, [&](store::Tx& tx) { return collect_garbage(tx, *blob_store, after, now); }));
  }
  bool has_row(Digest const& sha256) {
    auto row = store->reader().prepare(kGetBlob);
    return must(row.bind(1, sha256).step());
  }
  bool has_file(Digest const& sha256) { return std::filesystem::exists(blob_path(dir, sha256)); }
};

}  // namespace

TEST_CASE_FIXTURE(Garbage, "what no release and no upload names goes after a week and a day, and its bytes are counted; what one names stays") {
  add_release("reader", "1");
  must(revoke_it("reader", "1"));
  auto const named = crypto::sha256("reader1"), nobody = add_blob("nobody's"), fresh = crypto::sha256("fresh");
  now += hours{6 * 24};
  add_blob("fresh");
  now += hours{25};
  collect();
  CHECK_FALSE(has_row(nobody));
  CHECK(has_file(nobody));  // a backup may be at it
  CHECK(must(given_back(store->reader())).waiting_bytes == 8);
  now += hours{23};
  collect();
  CHECK(has_file(nobody));
  now += hours{1};
  collect();
  CHECK_FALSE(has_file(nobody));
  CHECK(has_row(named));
  CHECK(has_file(named));
  CHECK(has_row(fresh));
  auto const back = must(given_back(store->reader()));
  CHECK(back.blobs == 1);
  CHECK(back.bytes == 8);
  CHECK(back.waiting_bytes == 0);
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(Garbage, "bytes that are brought again before their file went stay, however they come; a publication that comes too late is told to send them") {
  auto const sha256 = add_blob("weights");
  auto const wanted = must(decode_publication("reader", body("1", "weights")));
  now += hours{8 * 24};
  collect();
  CHECK_FALSE(has_row(sha256));
  auto const late = store->write_value<Published>(store::Lane::verbs, [&](store::Tx& tx) { return publish(tx, keys, wanted, "{}", by("token:ci")); });
  CHECK(code_of(late) == "unknown_blob");
  CHECK(read("SELECT count(*) FROM releases") == "0");
  auto const line = fmt::format(R"({{"files":[{{"sha256":"{}","size":7}}]}})", sha256.hex());
  must(store_batch(uploads, line + "\nweights", "token:ci", "", now));
  now += hours{25};
  collect();
  CHECK(has_file(sha256));
  REQUIRE(publish_body("reader", body("1", "weights")).has_value());
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(Garbage, "a file that a request relies on is not removed under it, and one that is half brought neither") {
  auto const one = add_blob("one"), two = add_blob("two");
  now += hours{8 * 24};
  collect();
  now += hours{25};
  {
    Held const held({one});
    auto const upload = must(begin_upload(uploads, two, 3, "token:ci", "", now));
    collect();
    CHECK(has_file(one));
    CHECK(has_file(two));
    must(append_piece(uploads, upload.id, 0, as_bytes("two"), now));
    must(finish_upload(uploads, upload.id, now));
  }
  now += hours{25};
  collect();
  CHECK_FALSE(has_file(one));
  CHECK(has_file(two));
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(Garbage, "a step that is cut off between the file and its note is taken again") {
  auto const sha256 = add_blob("lost");
  now += hours{8 * 24};
  collect();
  std::filesystem::remove(blob_path(dir, sha256));
  now += hours{25};
  collect();
  CHECK(read("SELECT count(*) FROM blob_removals") == "0");
  CHECK(must(given_back(store->reader())).bytes == 0);
}

TEST_CASE_FIXTURE(Garbage, "a step looks at so many rows, and the next goes on behind them") {
  script("WITH RECURSIVE k(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM k WHERE n < 1200) INSERT INTO blobs (sha256, size, created_at) "
         "SELECT CAST(printf('%032d', n) AS BLOB), 1, 0 FROM k");
  auto step = collect();
  CHECK(step.more);
  CHECK(read("SELECT count(*) FROM blobs") == "700");
  step = collect(step.after);
  step = collect(step.after);
  CHECK(read("SELECT count(*) FROM blobs") == "0");
  CHECK(step.after == Digest{});
  now += hours{25};
  for (int steps = 0; collect().more; ++steps) REQUIRE(steps < 200);
  CHECK(read("SELECT count(*) FROM blob_removals") == "0");
}

TEST_CASE_FIXTURE(Garbage, "a file of an upload that no row knows, which a cut left, goes a week after it was touched; that of an open upload stays") {
  auto const open = must(begin_upload(uploads, crypto::sha256("half"), 4, "token:ci", "", now));
  auto const stray = upload_path(dir, "up_stray");
  must(system_fs().replace(stray, "nobody's"));
  now = system_clock().wall() + hours{6 * 24};
  collect();
  CHECK(std::filesystem::exists(stray));
  now += hours{25};
  collect();
  CHECK_FALSE(std::filesystem::exists(stray));
  CHECK(std::filesystem::exists(upload_path(dir, open.id)));
}
