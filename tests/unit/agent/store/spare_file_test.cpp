#include "agent/store/spare_file.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kPath = "/state/directive.json";
constexpr std::uint64_t kSize = 4096;

CrashFs ready() {
  CrashFs fs;
  fs.put(kPath, "old");
  REQUIRE(SpareFile(fs, kPath, kSize).make_ready().has_value());
  return fs;
}

}  // namespace

TEST_CASE("a file is replaced on a full disk once, and again after the spare one could be made anew") {
  auto fs = ready();
  SpareFile file(fs, kPath, kSize);
  fs.fill();
  REQUIRE(file.replace("new").has_value());
  fs.restart(CrashFs::Loss::unsynced);
  CHECK(fs.text(kPath) == "new");
  CHECK(file.replace("newer").error().code == "disk_full");
  CHECK(file.make_ready().error().code == "disk_full");
  CHECK(fs.text(kPath) == "new");
  fs.fill(false);
  REQUIRE(file.make_ready().has_value());
  fs.fill();
  CHECK(file.replace(std::string(kSize + 1, 'x')).error().code == "disk_full");
  REQUIRE(file.replace("newer").has_value());
  CHECK(fs.text(kPath) == "newer");
}

TEST_CASE("the power may go at any step of it: the old or the new content is there, whole") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      auto fs = ready();
      SpareFile file(fs, kPath, kSize);
      fs.fill();
      fs.cut_at(step);
      bool const done = file.replace("new").has_value();
      bool const hit = fs.was_hit();
      fs.restart(loss);
      CHECK((fs.text(kPath) == "new" || (!done && fs.text(kPath) == "old")));
      if (!hit) break;
    }
  }
}

TEST_CASE("a spare one that was cut while it was used is made anew") {
  auto fs = ready();
  SpareFile file(fs, kPath, kSize);
  fs.put(kPath + ".spare", "new");
  REQUIRE(file.make_ready().has_value());
  CHECK(fs.text(kPath + ".spare")->size() == kSize);
}
