#include "server/blobs/store/paths.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <fstream>

using namespace fleet;
using namespace fleet::blobs;
using namespace fleet::catalog;
using namespace fleet::signing;
using namespace fleet::catalog::test;

namespace {

struct Sound : Catalog {
  Sound() {
    add_model("reader");
    add_release("reader", "1.0.0");
    add_release("reader", "2.0.0");
    must(revoke_it("reader", "1.0.0"));
    now += std::chrono::hours{24 * 200};
    refresh();
  }
  std::string blob() { return blob_path(dir, crypto::sha256("reader2.0.0")); }
};

}  // namespace

TEST_CASE("a check names what is wrong, and nothing else") {
  struct Case {
    std::string what;
    std::function<void(Sound&)> harm;
    std::string says;
  };
  for (auto const& [what, harm, says] : std::vector<Case>{
           {"a flipped byte", [](Sound& c) { std::ofstream(c.blob()) << "reader2.0.1"; }, "blob " + crypto::sha256("reader2.0.0").hex()},
           {"a blob cut short", [](Sound& c) { std::filesystem::resize_file(c.blob(), 3); }, "(3 bytes, expected 11)"},
           {"a blob gone", [](Sound& c) { std::filesystem::remove(c.blob()); }, "blob " + crypto::sha256("reader2.0.0").hex()},
           {"a row of a blob gone", [](Sound& c) { c.script("DELETE FROM blobs WHERE sha256 = x'" + crypto::sha256("reader2.0.0").hex() + "'"); },
            "reader@2.0.0: there is no blob"},
           {"release.json changed", [](Sound& c) { c.script("UPDATE releases SET document = replace(document, 'cam-a', 'cam-b') WHERE version = '2.0.0'"); },
            "does not have its digest"},
           {"metadata changed",
            [](Sound& c) {
              c.script(
                  "UPDATE metadata SET bytes = CAST(replace(CAST(bytes AS TEXT), 'cam-a', 'cam-b') AS BLOB) WHERE role = 'm-reader' AND version = (SELECT "
                  "max(version) FROM metadata WHERE role = 'm-reader')");
            },
            "release repository"},
           {"metadata of another version", [](Sound& c) { c.script("UPDATE metadata SET bytes = CAST('{}' AS BLOB) WHERE role = 'snapshot' AND version = 1"); },
            "1.snapshot.json"},
           {"a root missing", [](Sound& c) { c.script("DELETE FROM metadata WHERE repository = 'release' AND role = 'root' AND version = 1"); },
            "release repository"},
           {"the directive's root changed",
            [](Sound& c) { c.script("UPDATE metadata SET bytes = CAST(replace(CAST(bytes AS TEXT), 'sig', 'gis') AS BLOB) WHERE repository = 'directive'"); },
            "directive repository"},
           {"a draft that is signed", [](Sound& c) { c.script("UPDATE releases SET state = 'draft' WHERE version = '2.0.0'"); }, "is draft, but signed"},
           {"a release that is not signed", [](Sound& c) { c.script("UPDATE releases SET state = 'approved' WHERE version = '1.0.0'"); },
            "is approved, but not signed"},
       }) {
    CAPTURE(what);
    Sound catalog;
    REQUIRE(catalog.findings().empty());
    harm(catalog);
    auto const found = catalog.findings();
    bool const named = std::any_of(found.begin(), found.end(), [&](std::string const& line) { return line.find(says) != std::string::npos; });
    CHECK_MESSAGE(named, fmt::format("{}", fmt::join(found, "\n")));
    CHECK(found.size() <= 3);
  }
}

TEST_CASE_FIXTURE(Sound, "a blob that is gone from the disk is the server's loss, told as such when somebody publishes it") {
  auto const wanted = body("3.0.0", "reader2.0.0");
  for (bool const gone : {false, true}) {
    if (gone) std::filesystem::remove(blob());
    else std::filesystem::resize_file(blob(), 3);
    auto const published = publish_body("reader", wanted);
    REQUIRE_FALSE(published.has_value());
    CHECK(published.error().code == "blob_lost");
    CHECK(published.error().kind == Kind::corrupt);
  }
}
