#include "tests/unit/cli/bench.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <filesystem>

using namespace fleet;
using namespace fleet::cli::testing;
namespace json = boost::json;

namespace {

/// The uploads and releases of a server, as docs/api.md has them; it loses what a test tells it to lose.
struct Catalogue {
  std::map<std::string, std::string> blobs;  ///< sha256 -> bytes
  struct Upload {
    std::string sha256, bytes;
  };
  std::map<std::string, Upload> uploads;
  std::string released;
  int lose_answers = 0;  ///< pieces that arrive while their answer does not
  std::size_t body_max = 64 * 1024 * 1024;  ///< what a proxy before it takes
  int beyond = 413;                         ///< how it answers more: 413, or 504 when it ends long requests
  std::map<std::string, int> refuse;        ///< by the beginning of a request: how often it is answered 503 with Retry-After
  int forget = 0;                           ///< uploads that another job ends, or spoils, before the last piece
  Millis hashing{0};     ///< what the end of an upload takes

  net::Response upload(Seen const& request, std::string const& id) {
    if (request.line.starts_with("PATCH") && forget-- > 0) uploads.erase(id);
    if (!uploads.contains(id)) return problem(404, "unknown_upload", "there is no such upload");
    auto& one = uploads.at(id);
    auto answer = net::json_response(200, "{}");
    if (request.line.starts_with("PATCH")) {
      if (net::find_header(request.headers, "Upload-Offset") != std::to_string(one.bytes.size())) answer = problem(409, "wrong_offset", "elsewhere");
      else one.bytes += request.body;
      if (lose_answers-- > 0) answer = problem(503, "unavailable", "restarting");
    } else if (request.line.starts_with("PUT")) {
      if (crypto::sha256(one.bytes).hex() != one.sha256) return problem(422, "digest_mismatch", "other bytes");
      blobs[one.sha256] = one.bytes;
      ::poll(nullptr, 0, static_cast<int>(hashing.count()));
    }
    answer.headers.push_back({"Upload-Offset", std::to_string(one.bytes.size())});
    return answer;
  }

  net::Response answer(Seen const& request) {
    if (request.body.size() > body_max) return net::Response{beyond, {{"Content-Type", "text/html"}}, std::string("<html>a proxy's words</html>"), false};
    for (auto& [begin, times] : refuse)
      if (request.line.starts_with(begin) && times-- > 0) {
        auto busy = problem(503, "upload_busy", "another request writes to it");
        busy.headers.push_back({"Retry-After", "1"});
        return busy;
      }
    if (request.line == "GET /api/v1/models/reader") return net::json_response(200, R"({"name":"reader"})");
    if (request.line == "POST /api/v1/uploads") {
      auto const sha256 = std::string(json::parse(request.body).at("sha256").as_string());
      if (blobs.contains(sha256)) return net::json_response(200, R"({"state":"done"})");
      auto const id = "up-" + sha256.substr(0, 8);
      auto const offset = uploads.try_emplace(id, Upload{sha256, ""}).first->second.bytes.size();
      return net::json_response(201, R"({"id":")" + id + R"(","offset":)" + std::to_string(offset) + R"(,"state":"open"})");
    }
    if (request.line == "POST /api/v1/uploads:missing") {
      json::array missing;
      auto const asked = json::parse(request.body);
      for (auto const& file : asked.at("files").as_array())
        if (auto const sha256 = std::string(file.at("sha256").as_string()); !blobs.contains(sha256)) missing.emplace_back(sha256);
      return net::json_response(200, json::serialize(json::object{{"missing", std::move(missing)}}));
    }
    if (request.line == "POST /api/v1/uploads:batch") {
      auto const end = request.body.find('\n');
      auto const listed = json::parse(request.body.substr(0, end));
      auto at = end + 1;
      for (auto const& file : listed.at("files").as_array()) {
        auto const size = static_cast<std::size_t>(file.at("size").as_int64());
        blobs[std::string(file.at("sha256").as_string())] = request.body.substr(at, size);
        at += size;
      }
      return net::json_response(200, "{}");
    }
    if (auto const at = request.line.find("/uploads/"); at != std::string::npos) return upload(request, request.line.substr(at + 9));
    if (request.line == "POST /api/v1/models/reader/releases") {
      auto const again = released == request.body;
      if (!released.empty() && !again) return problem(409, "release_exists", "2.0.0 exists with other content");
      released = request.body;
      return net::json_response(again ? 200 : 201, R"({"model":"reader","version":"2.0.0","state":"approved"})");
    }
    return problem(404, "unknown_model", "no such model");
  }
};

struct Shop {
  Catalogue catalogue;
  FakeServer server{[this](Seen const& request) { return catalogue.answer(request); }};
  Bench bench;
  Shop() { bench.use(server); }
  int publish(std::vector<std::string> more) {
    std::vector<std::string> words{"release", "publish", "--model", "reader", "--version", "2.0.0"};
    words.insert(words.end(), more.begin(), more.end());
    return bench.run(words);
  }
};

}  // namespace

TEST_CASE("a folder keeps its tree and executable bits; a blob that two variants share is sent once") {
  Shop shop;
  auto const& folder = shop.bench.folder;
  folder.write("a/model.bin", "weights");
  folder.write("a/bin/reader", "#!/bin/sh\n");
  system_fs().set_executable(folder.path() + "/a/bin/reader", true).value();
  auto const single = folder.write("b.bin", "weights");
  auto const manifest = folder.write("release.yaml", "probation: {time: 5m}\n");
  CHECK(shop.publish({"--variant", "cam-a=" + folder.path() + "/a/", "--variant", "cam-b+cam-c=" + single, "--manifest", manifest, "--parent",
                      "reader@1.0.0=finetune", "--dataset", "digits=sha256:" + std::string(64, 'd'), "--metric", "accuracy=0.97", "--commit", "abc", "-o",
                      "name"}) == 0);
  CHECK(shop.bench.console.stdout_text == "reader@2.0.0\n");
  CHECK(shop.catalogue.blobs.size() == 2);
  auto const body = json::parse(shop.catalogue.released);
  auto const weights = crypto::sha256("weights").hex();
  CHECK(body.at("variants").at(0).at("files") ==
        json::parse(R"([{"name":"bin/reader","size":10,"sha256":")" + crypto::sha256("#!/bin/sh\n").hex() + R"(","executable":true},
                        {"name":"model.bin","size":7,"sha256":")" +
                    weights + R"("}])"));
  CHECK(body.at("variants").at(1).at("hardware") == json::parse(R"(["cam-b","cam-c"])"));
  CHECK(body.at("variants").at(1).at("files").at(0).at("name") == "b.bin");
  CHECK(body.at("manifest") == json::parse(R"({"probation":{"time":"5m"}})"));
  CHECK(body.at("parents") == json::parse(R"([{"model":"reader","version":"1.0.0","relation":"finetune"}])"));
  CHECK(body.at("metrics").at("accuracy") == 0.97);
  CHECK(body.at("commit") == "abc");
}

TEST_CASE("publishing the same again ends with 0 and sends nothing, other content with 6") {
  Shop shop;
  auto const file = shop.bench.folder.write("m.bin", "one");
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 0);
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 0);
  CHECK(shop.bench.console.stderr_text.find("is published already") != std::string::npos);
  for (auto const& request : shop.server.seen()) CHECK(request.line.find("POST /api/v1/uploads/") == std::string::npos);
  shop.bench.folder.write("m.bin", "two");
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 6);
}

TEST_CASE("an upload goes on where the server has it: from an earlier run, and after a lost answer") {
  Shop shop;
  std::string const bytes(9 * 1024 * 1024 + 17, 'w');
  auto const file = shop.bench.folder.write("big.bin", bytes);
  auto const sha256 = crypto::sha256(bytes).hex();
  shop.catalogue.uploads["up-" + sha256.substr(0, 8)] = {sha256, bytes.substr(0, 1000)};
  shop.catalogue.lose_answers = 1;
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 0);
  CHECK(shop.catalogue.blobs.at(sha256) == bytes);
  CHECK(shop.bench.console.stderr_text.find("resumed at 1000 B") != std::string::npos);
  CHECK(shop.bench.console.pauses.size() == 1);
}

TEST_CASE("pieces shrink to what a proxy takes, down to 256 KiB, and stay so") {
  Shop shop;
  std::string const bytes(3 * 1024 * 1024, 'w');
  auto const file = shop.bench.folder.write("m.bin", bytes);
  shop.catalogue.body_max = 1024 * 1024;  // nginx as it comes
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 0);
  CHECK(shop.catalogue.blobs.at(crypto::sha256(bytes).hex()) == bytes);
  int refused = 0;
  for (auto const& request : shop.server.seen()) refused += request.line.starts_with("PATCH") && request.body.size() > 1024 * 1024 ? 1 : 0;
  CHECK(refused == 2);
  CHECK(shop.bench.console.pauses.empty());

  Shop narrow;
  narrow.catalogue.body_max = 100 * 1024;
  CHECK(narrow.publish({"--variant", "cam-a=" + narrow.bench.folder.write("m.bin", bytes)}) == 1);
  CHECK(narrow.bench.console.stderr_text.find("client_max_body_size") != std::string::npos);
}

TEST_CASE("a proxy that ends long requests lets smaller pieces through") {
  Shop shop;
  std::string const bytes(3 * 1024 * 1024, 'w');
  shop.catalogue.body_max = 600 * 1024;
  shop.catalogue.beyond = 504;
  CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.write("m.bin", bytes)}) == 0);
  CHECK(shop.catalogue.blobs.at(crypto::sha256(bytes).hex()) == bytes);
}

TEST_CASE("a busy answer at the begin, a piece, the end or the release itself is waited for") {
  for (auto const* const begin : {"POST /api/v1/uploads", "PATCH /api/v1/uploads/", "PUT /api/v1/uploads/", "POST /api/v1/models/reader/releases"}) {
    Shop shop;
    shop.catalogue.refuse[begin] = 3;
    CAPTURE(begin);
    CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.write("m.bin", "bytes")}) == 0);
    CHECK(shop.bench.console.pauses == std::vector<Millis>{seconds{1}, seconds{1}, seconds{1}});
  }
}

TEST_CASE("an upload that another job of the token ended is begun anew, once") {
  Shop shop;
  shop.catalogue.forget = 1;
  CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.write("m.bin", "bytes")}) == 0);
  shop.catalogue.forget = 1'000;
  CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.write("n.bin", "other bytes")}) == 3);
}

TEST_CASE("links that lead out of their folder are followed, to files and to folders, and published under their own names") {
  Shop shop;
  auto const& folder = shop.bench.folder;
  folder.write("hub/blobs/1", "weights");
  folder.write("hub/tables/a/x", "one");
  std::filesystem::create_directories(folder.path() + "/hub/snapshots/abc/onnx");
  std::filesystem::create_symlink("../../../blobs/1", folder.path() + "/hub/snapshots/abc/onnx/model.bin");
  std::filesystem::create_symlink("../../tables", folder.path() + "/hub/snapshots/abc/tables");
  std::filesystem::create_symlink("hub/snapshots/abc", folder.path() + "/latest");
  std::filesystem::create_symlink("hub/blobs/1", folder.path() + "/single.bin");
  CHECK(shop.publish({"--variant", "cam-a=" + folder.path() + "/latest/", "--variant", "cam-b=single.bin"}) == 0);
  CHECK(shop.bench.console.stderr_text.find("4 links were followed") != std::string::npos);
  auto const body = json::parse(shop.catalogue.released);
  CHECK(body.at("variants").at(0).at("files").at(0).at("name") == "onnx/model.bin");
  CHECK(body.at("variants").at(0).at("files").at(1).at("name") == "tables/a/x");
  CHECK(body.at("variants").at(1).at("files").at(0).at("name") == "single.bin");
}

TEST_CASE("links that lead to what is published with them are kept, also through others and beside those that are followed") {
  Shop shop;
  auto const& folder = shop.bench.folder;
  folder.write("m/weights/1.bin", "weights");
  folder.write("hub/2", "more");
  auto const link = [&](char const* target, char const* name) { std::filesystem::create_symlink(target, folder.path() + name); };
  link("../../hub", "/m/weights/hub");    // out: followed
  link("2", "/hub/two");                  // within it: kept
  link("weights/1.bin", "/m/model.bin");  // kept
  link("./weights", "/m/latest");
  link("latest/hub/2", "/m/second.bin");  // through a link that is kept and one that is followed
  CHECK(shop.publish({"--variant", "cam-a=" + folder.path() + "/m"}) == 0);
  auto const variant = json::parse(shop.catalogue.released).at("variants").at(0);
  CHECK(json::serialize(variant.at("links")) ==
        R"([{"name":"latest","target":"./weights"},{"name":"model.bin","target":"weights/1.bin"},{"name":"second.bin","target":"latest/hub/2"},)"
        R"({"name":"weights/hub/two","target":"2"}])");
  CHECK(variant.at("files").as_array().size() == 2);
  CHECK(shop.catalogue.blobs.size() == 2);
  CHECK(shop.bench.console.stderr_text.find("4 links are kept") != std::string::npos);
  CHECK(shop.bench.console.stderr_text.find("1 links were followed") != std::string::npos);
}

TEST_CASE("links in a circle, to a folder above them, and to nothing are refused with what to do") {
  for (auto const& [target, words] : {std::pair{"../m", "leads back to a folder above it"}, {".", "leads back to a folder above it"}, {"self", "in a circle"}, {"gone", "is not there"}}) {
    CAPTURE(target);
    Shop shop;
    shop.bench.folder.write("m/x", "one");
    std::filesystem::create_symlink(target, shop.bench.folder.path() + "/m/self");
    CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.path() + "/m"}) == 2);
    CHECK_MESSAGE(shop.bench.console.stderr_text.find(words) != std::string::npos, shop.bench.console.stderr_text);
    CHECK(shop.bench.console.stderr_text.find("publish a copy") != std::string::npos);
  }
}

TEST_CASE("folders that hold no file are part of a release") {
  Shop shop;
  shop.bench.folder.write("m/variables/x", "one");
  std::filesystem::create_directories(shop.bench.folder.path() + "/m/assets/deep");
  CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.path() + "/m"}) == 0);
  CHECK(json::parse(shop.catalogue.released).at("variants").at(0).at("folders") == json::parse(R"(["assets/deep"])"));
}

TEST_CASE("many small files take a few requests, each as large as a proxy takes, and none for those that are there") {
  Shop shop;
  for (int i = 0; i < 600; ++i) shop.bench.folder.write(fmt::format("m/{}/{}", i % 7, i), fmt::format("{}{}", i, std::string(static_cast<std::size_t>(i) * 10, 'x')));
  shop.catalogue.blobs[crypto::sha256("0").hex()] = "0";
  shop.catalogue.body_max = 1024 * 1024;
  CHECK(shop.publish({"--variant", "cam-a=" + shop.bench.folder.path() + "/m"}) == 0);
  CHECK(shop.catalogue.blobs.size() == 600);
  for (auto const& [sha256, bytes] : shop.catalogue.blobs) CHECK(crypto::sha256(bytes).hex() == sha256);
  auto const seen = shop.server.seen();
  CHECK(seen.size() < 12);
  CHECK(shop.bench.console.stderr_text.find("1 of 600 files are at the server already") != std::string::npos);
}

TEST_CASE("a dry run checks everything, says what would be published, and sends nothing") {
  Shop shop;
  auto const file = shop.bench.folder.write("m.bin", "bytes");
  CHECK(shop.publish({"--variant", "cam-a=" + file, "--dry-run"}) == 0);
  CHECK(shop.bench.console.stdout_text.find("reader@2.0.0 would be published: 1 variants, 1 files, 5 B") != std::string::npos);
  CHECK(shop.publish({"--variant", "cam-a=" + file, "--dry-run", "-o", "json"}) == 0);
  CHECK(json::parse(shop.bench.console.stdout_text).at("exists") == false);
  for (auto const& request : shop.server.seen()) CHECK(request.line.starts_with("GET"));
}

TEST_CASE("the end of an upload has more time than --timeout: what the server needs to hash the file") {
  Shop shop;
  auto const large = shop.bench.folder.write("large.bin", std::string(8 * 1024 * 1024, 'w'));
  shop.catalogue.hashing = Millis{1500};
  CHECK(shop.publish({"--variant", "cam-a=" + large, "--timeout", "1s"}) == 0);
  CHECK_FALSE(shop.catalogue.released.empty());
}

TEST_CASE("a server that stays away ends the upload with 8 after some tries") {
  Shop shop;
  auto const file = shop.bench.folder.write("m.bin", "bytes");
  shop.catalogue.lose_answers = 1'000'000;
  Catalogue& catalogue = shop.catalogue;
  FakeServer const away([&](Seen const& request) {
    if (request.line.starts_with("PATCH")) return problem(503, "unavailable", "restarting");
    return catalogue.answer(request);
  });
  shop.bench.use(away);
  CHECK(shop.publish({"--variant", "cam-a=" + file}) == 8);
  CHECK(shop.bench.console.pauses.size() == 7);
  CHECK(catalogue.released.empty());
}

TEST_CASE("an unknown model ends with 3 and says how to make one; nothing is uploaded") {
  Shop shop;
  auto const file = shop.bench.folder.write("m.bin", "bytes");
  CHECK(shop.bench.run({"release", "publish", "--model", "raeder", "--version", "1", "--variant", "cam-a=" + file}) == 3);
  CHECK(shop.bench.console.stderr_text.find("fleetctl model create raeder") != std::string::npos);
  CHECK(shop.server.seen().size() == 1);
}

TEST_CASE("what is wrong on this machine is told before the server is asked") {
  Shop shop;
  auto const& folder = shop.bench.folder;
  auto const file = folder.write("m.bin", "bytes");
  std::filesystem::create_directory(folder.path() + "/empty");
  std::filesystem::create_directory(folder.path() + "/linked");
  std::filesystem::create_symlink("gone/there", folder.path() + "/linked/m.bin");
  std::filesystem::create_directory(folder.path() + "/circle");
  std::filesystem::create_symlink(".", folder.path() + "/circle/again");
  std::filesystem::create_directory(folder.path() + "/chain");
  std::filesystem::create_symlink("b", folder.path() + "/chain/a");
  std::filesystem::create_symlink("a", folder.path() + "/chain/b");
  folder.write("latin/latin-\xfc.bin", "x");
  folder.write("lines/two\nlines.bin", "x");
  folder.write("lfs/model.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') + "\nsize 48605698\n");
  std::filesystem::create_directories(folder.path() + "/many");
  for (int i = 0; i < 5'000; ++i) folder.write(fmt::format("many/{}{:06}", std::string(200, 'n'), i), "");
  struct Row {
    std::vector<std::string> words;
    int exit;
    std::string said;
  };
  Row const rows[] = {
      {{"--variant", "cam-a=" + folder.path() + "/absent"}, 3, "absent"},
      {{"--variant", "cam-a=" + folder.path() + "/empty"}, 2, "without files"},
      {{"--variant", "cam-a=" + folder.path() + "/linked"}, 2, "a link to gone/there, which is not there"},
      {{"--variant", "cam-a=" + folder.path() + "/linked"}, 2, "cp -rL"},
      {{"--variant", "cam-a=" + folder.path() + "/circle"}, 2, "leads back"},
      {{"--variant", "cam-a=" + folder.path() + "/chain"}, 2, "leads in a circle"},
      {{"--variant", "cam-a=" + folder.path() + "/latin"}, 2, "the name is not UTF-8"},
      {{"--variant", "cam-a=" + folder.path() + "/lines"}, 2, "in the name"},
      {{"--variant", "cam-a=" + folder.path() + "/lfs"}, 1, "git lfs pull"},
      {{"--variant", "cam-a=" + folder.path() + "/many"}, 2, "release.json would have"},
      {{"--variant", "cam-a=" + file, "--manifest", folder.write("rule.yaml", "match: {runtime: tensorrt=8.6}\n")}, 2, "== is exactly this version"},
      {{"--variant", "cam-a=" + file, "--manifest", folder.write("golden.yaml", "golden: {command: [reader], expect: out.csv}\n")}, 2, "the golden test needs 'out.csv'"},
      {{"--variant", "cam-a=" + file, "--variant", "cam-b+cam-a=" + file}, 2, "two variants"},
      {{"--variant", "cam-a=" + file, "--parent", "reader@1=copied"}, 2, "finetune"},
      {{"--variant", "cam-a=" + file, "--manifest", folder.write("bad.yaml", "goldn: {}\n")}, 2, "goldn"},
      {{"--variant", "cam-a=" + file, "--manifest", folder.write("worse.yaml", "a: [1\n")}, 2, "worse.yaml"},
      {{"--variant", "cam-a=" + file, "--metric", "accuracy=high"}, 2, "NAME=NUMBER"},
  };
  for (auto const& row : rows) {
    CAPTURE(row.said);
    CHECK(shop.publish(row.words) == row.exit);
    CHECK_MESSAGE(shop.bench.console.stderr_text.find(row.said) != std::string::npos, shop.bench.console.stderr_text);
  }
  CHECK(shop.server.seen().empty());
}
