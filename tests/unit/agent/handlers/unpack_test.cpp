#include "agent/handlers/unpack.hpp"
#include "core/crypto/hash.hpp"
#include "tests/unit/agent/proof/release_folder.hpp"
#include "tests/unit/agent/unpack/tar_of.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDigest(64, 'b');

/// A staged release of one tar on the real file system, unpacked by the real program.
struct RealTar {
  explicit RealTar(std::string const& tar) : slots(system_fs(), Layout{folder.slot()}), variant{{"cam-a"}, {{"app.tar", tar.size(), crypto::sha256(tar), false}}, {}, {}} {
    REQUIRE(system_fs().make_dirs(slots.staging("reader", kDigest)).has_value());
    REQUIRE(system_fs().replace(slots.staging("reader", kDigest) + "/app.tar", tar).has_value());
  }
  Result<void> unpack() { return agent::unpack(folder.bench(), slots, {"reader", kDigest, variant}); }
  ReleaseFolder folder;
  Slots slots;
  wire::Variant variant;
};

}  // namespace

TEST_CASE("an archive is unpacked by a program of its own") {
  std::string const weights(300'000, 'w');
  RealTar real(tar_of({{"lib/", {}, '5', 0755}, {"lib/run", "#!/bin/sh\n", '0', 0755}, {"model", weights}, {"latest", {}, '2', 0777, "model"}}));
  auto const done = real.unpack();
  if (!done) FAIL(done.error().code, ": ", done.error().detail);
  auto const slot = real.slots.slot("reader", kDigest);
  CHECK(system_fs().read(slot + "/model", 1 << 20).value() == weights);
  CHECK(system_fs().info(slot + "/lib/run")->executable);
  CHECK(system_fs().read_link(slot + "/latest").value() == "model");
  CHECK_FALSE(system_fs().info(slot + "/app.tar").has_value());
  CHECK(real.slots.is_whole("reader", kDigest, real.slots.load_tree("reader", kDigest).value()).value());
}

TEST_CASE("what the program refuses is the release's own fault, by its words") {
  RealTar real(tar_of({{"model", "weights"}, {"../evil", "x"}}));
  auto const done = real.unpack();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().code == "bad_archive");
  CHECK(done.error().detail.find("app.tar: file name '../evil'") != std::string::npos);
}

TEST_CASE("bytes that are not what was signed are never read as an archive") {
  RealTar real(tar_of({{"model", "weights"}}));
  REQUIRE(system_fs().replace(real.slots.staging("reader", kDigest) + "/app.tar", tar_of({{"model", "poison!"}})).has_value());
  CHECK(real.unpack().error().code == "digest_mismatch");
}

TEST_CASE("a bomb ends at the owner's ratio or bytes") {
  RealTar real(tar_of({{"model", std::string(300'000, 'w')}}));
  real.folder.config.unpack.max_bytes = 200'000;
  auto const done = real.unpack();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().code == "bad_archive");
  CHECK(done.error().detail.find("more than 200000 bytes") != std::string::npos);
}
