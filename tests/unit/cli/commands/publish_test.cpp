#include "tests/unit/cli/bench.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <boost/json/parse.hpp>
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
  Millis hashing{0};     ///< what the end of an upload takes

  net::Response upload(Seen const& request, std::string const& id) {
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
    if (request.line == "GET /api/v1/models/reader") return net::json_response(200, R"({"name":"reader"})");
    if (request.line == "POST /api/v1/uploads") {
      auto const sha256 = std::string(json::parse(request.body).at("sha256").as_string());
      if (blobs.contains(sha256)) return net::json_response(200, R"({"state":"done"})");
      auto const id = "up-" + sha256.substr(0, 8);
      auto const offset = uploads.try_emplace(id, Upload{sha256, ""}).first->second.bytes.size();
      return net::json_response(201, R"({"id":")" + id + R"(","offset":)" + std::to_string(offset) + R"(,"state":"open"})");
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
  folder.write("a/model.onnx", "weights");
  folder.write("a/bin/reader", "#!/bin/sh\n");
  system_fs().set_executable(folder.path() + "/a/bin/reader", true).value();
  auto const single = folder.write("b.onnx", "weights");
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
                        {"name":"model.onnx","size":7,"sha256":")" +
                    weights + R"(","executable":false}])"));
  CHECK(body.at("variants").at(1).at("hardware") == json::parse(R"(["cam-b","cam-c"])"));
  CHECK(body.at("variants").at(1).at("files").at(0).at("name") == "b.onnx");
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
  CHECK(shop.bench.console.pauses.size() == 5);
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
  std::filesystem::create_symlink("/etc/passwd", folder.path() + "/linked/passwd");
  struct Row {
    std::vector<std::string> words;
    int exit;
    std::string said;
  };
  Row const rows[] = {
      {{"--variant", "cam-a=" + folder.path() + "/absent"}, 3, "absent"},
      {{"--variant", "cam-a=" + folder.path() + "/empty"}, 2, "without files"},
      {{"--variant", "cam-a=" + folder.path() + "/linked"}, 2, "symbolic link"},
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
