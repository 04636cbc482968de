#include "cli/bundle/serve_bundle.hpp"

#include "core/crypto/hash.hpp"
#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cli;

namespace {

struct Kept final : net::Responder::Sink {
  net::Response response;
  void answer(net::Response given) override { response = std::move(given); }
  [[nodiscard]] bool alive() const override { return true; }
};

/// A folder of one bundle with one object.
struct Depot {
  cli::testing::TempFolder folder;
  std::string const content = "the bytes of an object";
  std::string const path = "/blobs/sha256/" + crypto::sha256(content).hex();
  ObjectShelf shelf;

  Depot() {
    auto writer = bundle::BundleWriter::create(system_fs(), folder.path() + "/one.bundle");
    REQUIRE(writer.has_value());
    REQUIRE(writer->put("bundle.json", "{}").has_value());
    REQUIRE(writer->put(bundle::blob_name(crypto::sha256(content)), content).has_value());
    REQUIRE(writer->finish().has_value());
    folder.write("broken.bundle", "no tar");
    folder.write("notes.txt", "no bundle");
  }
  net::Response ask(net::Method method, std::string const& target, std::string const& range = {}) {
    net::Request request;
    request.method = method;
    request.target = target;
    request.path = request.target;
    if (!range.empty()) request.headers = {{"Range", range}};
    auto const kept = std::make_shared<Kept>();
    shelf.handle(std::move(request), net::Responder(kept));
    return std::move(kept->response);
  }
  std::string bytes_of(net::Response const& response) {
    auto const& part = std::get<net::FileBody>(response.body);
    return system_fs().read(part.path, 1 << 20)->substr(part.offset, part.length);
  }
};

}  // namespace

TEST_CASE("a folder's bundles are found, those that are none are told and passed over") {
  Depot depot;
  auto const found = find_bundles(system_fs(), depot.folder.path());
  REQUIRE(found.has_value());
  CHECK(found->files.size() == 2);
  auto const passed_over = depot.shelf.load(system_fs(), found->files);
  REQUIRE(passed_over.size() == 1);
  CHECK(passed_over[0].find("broken.bundle") != std::string::npos);
  CHECK(depot.shelf.objects() == 1);
  CHECK(*find_bundles(system_fs(), depot.folder.path()) == *found);
  depot.folder.write("two.bundle", "x");
  CHECK_FALSE(*find_bundles(system_fs(), depot.folder.path()) == *found);
  CHECK(find_bundles(system_fs(), depot.folder.path() + "/one.bundle")->files.size() == 1);
  CHECK(find_bundles(system_fs(), depot.folder.path() + "/none").error().kind == Kind::not_found);
}

TEST_CASE("objects are given whole and in ranges, nothing else is") {
  Depot depot;
  depot.shelf.load(system_fs(), {depot.folder.path() + "/one.bundle"});
  auto const whole = depot.ask(net::Method::get, depot.path);
  CHECK(whole.status == 200);
  CHECK(depot.bytes_of(whole) == depot.content);
  auto const rest = depot.ask(net::Method::get, depot.path, "bytes=4-");
  CHECK(rest.status == 206);
  CHECK(depot.bytes_of(rest) == depot.content.substr(4));
  CHECK(net::find_header(rest.headers, "Content-Range") == "bytes 4-21/22");
  CHECK(depot.ask(net::Method::get, depot.path, "bytes=22-").status == 416);
  CHECK(depot.ask(net::Method::head, depot.path, "bytes=4-").status == 200);
  CHECK(depot.ask(net::Method::post, depot.path).status == 405);
  CHECK(depot.ask(net::Method::get, "/blobs/sha256/" + std::string(64, 'a')).status == 404);
  for (auto const* const path : {"/", "/bundle.json", "/blobs/sha256/../../one.bundle", "/blobs/sha256/"}) CHECK(depot.ask(net::Method::get, path).status == 404);
  CHECK(depot.shelf.body_limit(net::Method::get, depot.path) == 0);
}
