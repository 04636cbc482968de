#include "server/blobs/batch.hpp"
#include "server/blobs/store/paths.hpp"
#include "server/blobs/readers.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <fstream>
#include <thread>

using namespace fleet;
using namespace fleet::blobs;
using namespace fleet::catalog;
using namespace fleet::catalog::test;

namespace {

std::string const kContent = std::string(3000, 'a') + std::string(2000, 'b');

struct Started : Catalog {
  Digest digest = crypto::sha256(kContent);
  Upload upload = must(begin_upload(uploads, digest, kContent.size(), "token:ci", "", now));
  Result<Upload> send(std::uint64_t offset, std::string_view piece) { return append_piece(uploads, upload.id, offset, as_bytes(piece), now); }
  bool on_disk(std::string const& path) { return std::filesystem::exists(path); }
};

}  // namespace

TEST_CASE_FIXTURE(Started, "pieces become a blob by its digest") {
  CHECK(must(send(0, kContent.substr(0, 3000))).received == 3000);
  CHECK(must(send(3000, kContent.substr(3000))).received == 5000);
  auto const done = must(finish_upload(uploads, upload.id, now));
  CHECK(done.done);
  CHECK(must(system_fs().read(blob_path(dir, digest), 10'000)) == kContent);
  CHECK_FALSE(on_disk(upload_path(dir, upload.id)));
  CHECK(must(finish_upload(uploads, upload.id, now)).done);  // again: nothing changes
  CHECK(upload_json(done) == fmt::format(R"({{"id":"{}","sha256":"{}","size":5000,"offset":5000,"state":"done"}})", upload.id, digest.hex()));
}

TEST_CASE_FIXTURE(Started, "a blob that is there is not sent again by who sent it, nor by anybody once a release has it") {
  must(send(0, kContent));
  must(finish_upload(uploads, upload.id, now));
  CHECK(must(begin_upload(uploads, digest, kContent.size(), "token:ci", "", now)).done);
  CHECK_FALSE(must(begin_upload(uploads, digest, kContent.size(), "token:other", "", now)).done);
  add_model("reader");
  must(publish_body("reader", body("1", kContent)));
  CHECK(must(begin_upload(uploads, digest, kContent.size(), "token:other", "", now)).done);
  CHECK(code_of(begin_upload(uploads, digest, 7, "token:other", "", now)) == "size_mismatch");
}

TEST_CASE_FIXTURE(Started, "an upload goes on where it stopped, also after a restart, for the one who began it") {
  must(send(0, kContent.substr(0, 1000)));
  auto const again = must(begin_upload(uploads, digest, kContent.size(), "token:ci", "", now));
  CHECK(again.id == upload.id);
  CHECK(again.received == 1000);
  CHECK(must(begin_upload(uploads, digest, kContent.size(), "token:other", "", now)).id != upload.id);
  // Bytes that were written and not acknowledged are written again.
  std::ofstream(upload_path(dir, upload.id), std::ios::app) << "torn piece";
  must(send(1000, kContent.substr(1000)));
  CHECK(must(finish_upload(uploads, upload.id, now)).done);
}

TEST_CASE_FIXTURE(Started, "what does not fit is refused and changes nothing") {
  must(send(0, kContent.substr(0, 1000)));
  CHECK(code_of(send(0, "again")) == "wrong_offset");
  CHECK(code_of(send(1001, "a gap")) == "wrong_offset");
  CHECK(code_of(send(1000, kContent)) == "too_long");
  CHECK(code_of(finish_upload(uploads, upload.id, now)) == "incomplete");
  CHECK(code_of(append_piece(uploads, "up_none", 0, as_bytes("x"), now)) == "unknown_upload");
  CHECK(code_of(finish_upload(uploads, "../fleet.db", now)) == "unknown_upload");
  CHECK(code_of(begin_upload(uploads, digest, kBlobBytesMax + 1, "token:ci", "", now)) == "too_large");
  CHECK(must(load_upload(store->reader(), upload.id)).received == 1000);
}

TEST_CASE_FIXTURE(Started, "one identity has so many open uploads, and none that the disk has no place for") {
  auto const begin = [&](std::string const& name, std::string const& actor) { return begin_upload(uploads, crypto::sha256(name), 10, actor, "", now); };
  for (int i = 1; i < 64; ++i) must(begin("file-" + std::to_string(i), "token:ci"));
  CHECK(code_of(begin("one more", "token:ci")) == "over_quota");
  CHECK(must(begin("file-1", "token:ci")).size == 10);  // goes on with what is open
  CHECK(must(begin("one more", "token:other")).size == 10);
  must(send(0, kContent));
  must(finish_upload(uploads, upload.id, now));
  CHECK(must(begin("one more", "token:ci")).size == 10);

  auto const free = must(system_fs().free_bytes(dir));
  if (free < kBlobBytesMax) CHECK(code_of(begin_upload(uploads, crypto::sha256("large"), free, "token:other", "", now)) == "disk_full");
}

TEST_CASE_FIXTURE(Started, "bytes with another digest are dropped and can be sent anew") {
  must(send(0, std::string(kContent.size(), 'x')));
  auto const refused = finish_upload(uploads, upload.id, now);
  REQUIRE(code_of(refused) == "digest_mismatch");
  CHECK(refused.error().detail.find(digest.hex()) != std::string::npos);
  CHECK_FALSE(on_disk(upload_path(dir, upload.id)));
  CHECK_FALSE(on_disk(blob_path(dir, digest)));
  CHECK(code_of(load_upload(store->reader(), upload.id)) == "unknown_upload");
  CHECK(add_blob(kContent) == digest);
}

TEST_CASE_FIXTURE(Started, "a process that ended between the move and its row goes on") {
  must(send(0, kContent));
  auto const blob = std::filesystem::path(blob_path(dir, digest));
  std::filesystem::create_directories(blob.parent_path());
  std::filesystem::rename(upload_path(dir, upload.id), blob);
  CHECK(must(finish_upload(uploads, upload.id, now)).done);
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(Started, "an upload whose bytes are gone says so, once") {
  must(send(0, kContent));
  std::filesystem::remove(upload_path(dir, upload.id));
  CHECK(code_of(finish_upload(uploads, upload.id, now)) == "upload_lost");
  CHECK(add_blob(kContent) == digest);
}

TEST_CASE_FIXTURE(Started, "an upload that nobody went on with for a week is dropped") {
  must(send(0, "some"));
  now += std::chrono::hours{24 * 8};
  must(begin_upload(uploads, crypto::sha256("other"), 5, "token:ci", "", now));
  CHECK(code_of(load_upload(store->reader(), upload.id)) == "unknown_upload");
  CHECK_FALSE(on_disk(upload_path(dir, upload.id)));
}

TEST_CASE_FIXTURE(Started, "an upload whose bytes arrive for longer than a week is kept") {
  must(send(0, "some"));
  now += std::chrono::hours{24 * 6};
  must(send(4, "more"));
  now += std::chrono::hours{24 * 2};
  must(begin_upload(uploads, crypto::sha256("other"), 5, "token:ci", "", now));
  CHECK(must(send(8, "and more")).received == 16);
}

TEST_CASE_FIXTURE(Started, "a file that cannot be removed keeps its row, and is removed later") {
  auto const path = upload_path(dir, upload.id);
  std::filesystem::remove(path);
  std::filesystem::create_directories(path + "/in the way");
  now += std::chrono::hours{24 * 8};
  CHECK(code_of(begin_upload(uploads, crypto::sha256("other"), 5, "token:ci", "", now)) != "fine");
  CHECK(must(load_upload(store->reader(), upload.id)).id == upload.id);
  std::filesystem::remove(path + "/in the way");
  must(begin_upload(uploads, crypto::sha256("other"), 5, "token:ci", "", now));
  CHECK_FALSE(on_disk(path));
  CHECK(code_of(load_upload(store->reader(), upload.id)) == "unknown_upload");
}

TEST_CASE_FIXTURE(Started, "of requests that work on one upload at once, each is done or told to wait, and the blob is right") {
  std::vector<std::thread> threads;
  std::atomic<int> strange{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t at = 0; at < kContent.size();) {
        auto const now_there = load_upload(store->reader(), upload.id);
        if (!now_there || now_there->done) return;
        at = static_cast<std::size_t>(now_there->received);
        if (at == kContent.size()) break;
        auto const sent = append_piece(uploads, upload.id, at, as_bytes(std::string_view(kContent).substr(at, 50)), now);
        if (!sent && sent.error().code != "wrong_offset" && sent.error().code != "upload_busy") ++strange;
      }
      auto const done = finish_upload(uploads, upload.id, now);
      if (!done && done.error().code != "upload_busy" && done.error().code != "incomplete") ++strange;
    });
  for (auto& thread : threads) thread.join();
  CHECK(strange == 0);
  must(finish_upload(uploads, upload.id, now));
  CHECK(must(crypto::sha256_file(system_fs(), blob_path(dir, digest))).sha256 == digest);
}

TEST_CASE_FIXTURE(Catalog, "an empty file is a blob, too") {
  CHECK(add_blob("") == crypto::sha256(""));
  CHECK(findings().empty());
}

namespace {

std::string batch_of(std::vector<std::string> const& contents) {
  std::string list, bytes;
  for (auto const& content : contents) {
    list += fmt::format(R"({}{{"sha256":"{}","size":{}}})", list.empty() ? "" : ",", crypto::sha256(content).hex(), content.size());
    bytes += content;
  }
  return fmt::format("{{\"files\":[{}]}}\n{}", list, bytes);
}

}  // namespace

TEST_CASE_FIXTURE(Catalog, "a batch of small files is stored whole, and again without a change") {
  std::vector<std::string> const contents{"one", "", "three\nlines\n"};
  std::vector<SmallFile> asked;
  for (auto const& content : contents) asked.push_back({crypto::sha256(content), content.size()});
  CHECK(must(missing_blobs(store->reader(), asked, "token:ci", "")).size() == 3);
  for (int i = 0; i < 2; ++i) CHECK(must(store_batch(uploads, batch_of(contents), "token:ci", "", now)) == 3);
  for (auto const& content : contents) CHECK(must(system_fs().read(blob_path(dir, crypto::sha256(content)), 100)) == content);
  CHECK(must(missing_blobs(store->reader(), asked, "token:ci", "")).empty());
  asked[0].size = 4;
  CHECK(code_of(missing_blobs(store->reader(), asked, "token:ci", "")) == "size_mismatch");
}

TEST_CASE_FIXTURE(Catalog, "a batch that is not what it lists is refused, and none of it is known") {
  auto const sound = batch_of({"one", "two"});
  auto changed = sound;
  changed.back() = 'x';
  std::string many = "{\"files\":[";
  for (int i = 0; i < 257; ++i) many += fmt::format(R"({}{{"sha256":"{}","size":0}})", i == 0 ? "" : ",", crypto::sha256("").hex());
  struct Row {
    std::string body, code;
  };
  for (auto const& [body, code] : std::vector<Row>{{"", "bad_batch"},
                                                   {"{\"files\":[]}", "bad_batch"},
                                                   {"[]\n", "bad_input"},
                                                   {"not json\n", "bad_json"},
                                                   {sound.substr(0, sound.size() - 1), "bad_batch"},
                                                   {sound + "x", "bad_batch"},
                                                   {changed, "digest_mismatch"},
                                                   {R"({"files":[{"sha256":"XY","size":0}]})" "\n", "bad_input"},
                                                   {many + "]}\n", "bad_input"}}) {
    CAPTURE(body.substr(0, 60));
    auto const stored = store_batch(uploads, body, "token:ci", "", now);
    REQUIRE_FALSE(stored.has_value());
    CHECK_MESSAGE((stored.error().code == code || code == "bad_input"), stored.error().code);
    CHECK(stored.error().kind == (code == "digest_mismatch" ? Kind::unprocessable : Kind::bad_input));
  }
  CHECK(must(missing_blobs(store->reader(), {{crypto::sha256("one"), 3}}, "token:ci", "")).size() == 1);
}

TEST_CASE_FIXTURE(Catalog, "a token that is limited to a model may name what it sent in a batch, and sends what it may not name") {
  must(store_batch(uploads, batch_of({"one"}), "token:other", "", now));
  std::vector<SmallFile> const asked{{crypto::sha256("one"), 3}};
  CHECK(must(missing_blobs(store->reader(), asked, "token:ci", "reader")).size() == 1);
  must(store_batch(uploads, batch_of({"one"}), "token:ci", "reader", now));
  CHECK(must(missing_blobs(store->reader(), asked, "token:ci", "reader")).empty());
  CHECK(must(may_read(store->reader(), crypto::sha256("one"), "token:ci", "reader")));
}
