#include "agent/slots/slots.hpp"
#include "core/crypto/hash.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kHome = "/agent/models/reader";
std::string const kOld(64, 'a');
std::string const kNew(64, 'b');

wire::ReleaseFile file_of(std::string name, std::string_view content, bool executable = false) {
  return {std::move(name), content.size(), crypto::sha256(content), executable};
}

wire::Variant variant_of(std::string const& mark) {
  return {{"cam-a"}, {file_of("model.onnx", "model " + mark), file_of("bin/run", "program " + mark, true), file_of("golden/in.csv", "1,2")}, {"assets/empty"}, {{"latest.onnx", "model.onnx"}, {"assets/in/put", "../../golden"}}};
}

void stage(CrashFs& fs, Slots const& slots, std::string const& digest, std::string const& mark) {
  auto const dir = slots.staging("reader", digest);
  fs.put(dir + "/model.onnx", "model " + mark);
  fs.put(dir + "/bin/run", "program " + mark);
  fs.put(dir + "/golden/in.csv", "1,2");
}

/// A device that runs kOld and has kNew staged.
CrashFs running_old() {
  CrashFs fs;
  Slots slots(fs, Layout{"/agent"});
  stage(fs, slots, kOld, "old");
  REQUIRE(slots.install("reader", kOld, variant_of("old")).has_value());
  REQUIRE(slots.switch_to("reader", kOld).has_value());
  fs.restart(CrashFs::Loss::unsynced);
  stage(fs, slots, kNew, "new");
  return fs;
}

}  // namespace

TEST_CASE("an installed slot holds the files with their modes and nothing stays in staging") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  REQUIRE(slots.switch_to("reader", kNew).has_value());
  CHECK(*slots.current("reader") == kNew);
  CHECK(fs.read_link(kHome + "/current").value() == "versions/" + kNew);
  CHECK(slots.is_whole("reader", kNew, variant_of("new")).value());
  CHECK(fs.info(kHome + "/versions/" + kNew + "/bin/run")->executable);
  CHECK_FALSE(fs.info(kHome + "/versions/" + kNew + "/model.onnx")->executable);
  CHECK(fs.list(kHome + "/staging")->empty());
  CHECK(fs.info(kHome + "/versions/" + kNew + "/assets/empty")->type == FileInfo::Type::directory);
  CHECK(fs.read_link(kHome + "/versions/" + kNew + "/assets/in/put").value() == "../../golden");
  REQUIRE(fs.remove(kHome + "/versions/" + kNew + "/assets/empty").has_value());
  CHECK_FALSE(slots.is_whole("reader", kNew, variant_of("new")).value());
}

TEST_CASE("cut at any call, `current` names the old or the new release, whole, and the install goes on from there") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      auto fs = running_old();
      Slots slots(fs, Layout{"/agent"});
      fs.cut_at(step);
      auto const install = [&]() -> Result<void> {
        FLEET_CHECK(slots.install("reader", kNew, variant_of("new")));
        return slots.switch_to("reader", kNew);
      };
      bool const done = install().has_value();
      bool const hit = fs.was_hit();
      fs.restart(loss);
      auto const current = slots.current("reader");
      REQUIRE(current.has_value());
      if (done) CHECK(*current == kNew);
      CHECK((*current == kOld || *current == kNew));
      CHECK(slots.is_whole("reader", *current, variant_of(*current == kNew ? "new" : "old")).value());
      // What the runner does next: fetch what is not whole, and the rest again.
      if (!slots.is_whole("reader", kNew, variant_of("new")).value()) {
        stage(fs, slots, kNew, "new");
        REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
      }
      REQUIRE(slots.switch_to("reader", kNew).has_value());
      fs.restart(CrashFs::Loss::unsynced);
      CHECK(*slots.current("reader") == kNew);
      CHECK(slots.is_whole("reader", kNew, variant_of("new")).value());
      if (!hit) break;
    }
  }
}

TEST_CASE("an error of the disk at any call leaves what runs") {
  for (auto const& error : {Error{Kind::unavailable, "disk_full", "no space left"}, Error{Kind::io, "io_failed", "input/output error"}}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      auto fs = running_old();
      Slots slots(fs, Layout{"/agent"});
      fs.fail_at(step, error);
      auto const installed = slots.install("reader", kNew, variant_of("new"));
      if (!fs.was_hit()) break;
      REQUIRE_FALSE(installed.has_value());
      CHECK(installed.error().code == error.code);
      CHECK(*slots.current("reader") == kOld);
      CHECK(slots.is_whole("reader", kOld, variant_of("old")).value());
    }
  }
}

TEST_CASE("CVE-2020-25860, CVE-2026-6968: staged files that were changed after they were verified, or are links, never become a slot") {
  struct Case {
    char const* what;
    void (*spoil)(CrashFs&, std::string const& dir);
  };
  for (auto const& [what, spoil] : std::to_array<Case>({
           {"one bit", [](CrashFs&fs, std::string const&dir) { fs.put(dir + "/model.onnx", "model oew"); }},
           {"too long", [](CrashFs&fs, std::string const&dir) { fs.put(dir + "/model.onnx", "model new "); }},
           {"one more file", [](CrashFs&fs, std::string const&dir) { fs.put(dir + "/bin/more", ""); }},
           {"one more link", [](CrashFs&fs, std::string const&dir) { REQUIRE(fs.symlink("model.onnx", dir + "/more").has_value()); }},
           {"a link where a folder should be", [](CrashFs&fs, std::string const&dir) { REQUIRE(fs.symlink("bin", dir + "/assets").has_value()); }},
           {"a missing file", [](CrashFs&fs, std::string const&dir) { REQUIRE(fs.remove(dir + "/golden/in.csv").has_value()); }},
           {"a link in the place of a file",
            [](CrashFs& fs, std::string const& dir) {
              REQUIRE(fs.remove(dir + "/model.onnx").has_value());
              REQUIRE(fs.symlink("/agent/models/reader/versions/" + kOld + "/model.onnx", dir + "/model.onnx").has_value());
            }},
           {"a link", [](CrashFs&fs, std::string const&dir) { REQUIRE(fs.symlink("/etc/passwd", dir + "/bin/link").has_value()); }},
       })) {
    CAPTURE(what);
    auto fs = running_old();
    Slots slots(fs, Layout{"/agent"});
    spoil(fs, slots.staging("reader", kNew));
    CHECK_FALSE(slots.install("reader", kNew, variant_of("new")).has_value());
    CHECK_FALSE(slots.is_whole("reader", kNew, variant_of("new")).value());
    CHECK(*slots.current("reader") == kOld);
  }
}

TEST_CASE("an order ends installing and checking, and what was staged or installed stays") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  std::atomic<bool> stop{true};
  CHECK(slots.install("reader", kNew, variant_of("new"), &stop).error().code == "interrupted");
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  Slots started_anew(fs, Layout{"/agent"});
  CHECK(started_anew.is_whole("reader", kNew, variant_of("new"), &stop).error().code == "interrupted");
  CHECK(started_anew.check_unchanged("reader", kNew, variant_of("new"), &stop).error().code == "interrupted");
  CHECK(started_anew.is_whole("reader", kNew, variant_of("new")).value());
}

TEST_CASE("a stale temporary link does not block the switch") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  REQUIRE(fs.symlink("versions/" + kOld, kHome + "/current.new").has_value());
  REQUIRE(slots.switch_to("reader", kNew).has_value());
  CHECK(*slots.current("reader") == kNew);
}

TEST_CASE("collection keeps what it is told to keep, and takes the rest of slots, staging and releases") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  std::string const gone(64, 'c');
  fs.put(kHome + "/versions/" + gone + "/model.onnx", "x");
  fs.put(kHome + "/releases/" + gone + ".json", "{}");
  fs.put(kHome + "/releases/" + kOld + ".json", "{}");
  REQUIRE(slots.collect("reader", {kOld}).has_value());
  CHECK(*fs.list(kHome + "/versions") == std::vector<std::string>{kOld});
  CHECK(*fs.list(kHome + "/releases") == std::vector<std::string>{kOld + ".json"});
  CHECK(fs.list(kHome + "/staging")->empty());
  CHECK(slots.is_whole("reader", kOld, variant_of("old")).value());
}

TEST_CASE("without a release `current` is absent, and removing it twice is fine") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.remove_current("reader").has_value());
  REQUIRE(slots.remove_current("reader").has_value());
  REQUIRE(slots.remove_current("unknown").has_value());
  fs.restart(CrashFs::Loss::unsynced);
  CHECK(slots.current("reader")->empty());
}

TEST_CASE("CVE-2020-25860: a kept release.json is checked against its digest each time it is read") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  std::string const document = R"({"model":"reader"})";
  auto const digest = crypto::sha256(document).hex();
  REQUIRE(slots.save_release("reader", digest, document).has_value());
  fs.restart(CrashFs::Loss::unsynced);
  CHECK(slots.load_release("reader", digest).value() == document);
  fs.put(kHome + "/releases/" + digest + ".json", document + " ");
  auto const spoiled = slots.load_release("reader", digest);
  REQUIRE_FALSE(spoiled.has_value());
  CHECK(spoiled.error().kind == Kind::corrupt);
}

TEST_CASE("what lies in the way of a link, a folder or a document goes, and nobody's files stay") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  fs.put(kHome + "/current.new/deep/file", "x");
  fs.put(kHome + "/current.back/deep/file", "x");
  fs.put(kHome + "/releases", "a file");
  fs.put("/agent/models/README", "x");
  fs.put("/agent/models/lost+found/x", "x");
  fs.put("/agent/models/notes", "a file with a model's name");
  CHECK(*slots.models() == std::vector<std::string>{"reader"});
  REQUIRE(slots.save_release("reader", kNew, "{}").has_value());
  REQUIRE(slots.save_release("notes", kNew, "{}").has_value());
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  REQUIRE(slots.switch_to("reader", kNew).has_value());
  CHECK(*slots.current("reader") == kNew);
  CHECK(fs.text("/agent/models/README") == "x");
  REQUIRE(fs.remove(kHome + "/current").has_value());
  fs.put(kHome + "/current/file", "a person's try");
  REQUIRE(slots.switch_to("reader", kOld).has_value());
  CHECK(*slots.current("reader") == kOld);
}

TEST_CASE("staging is prepared: what was begun stays, junk of every kind goes") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  auto const dir = slots.staging("reader", kNew);
  fs.put(dir + "/junk/deep", "x");
  fs.put(dir + "/bin/more", "x");
  REQUIRE(fs.remove(dir + "/golden/in.csv").has_value());
  fs.put(dir + "/golden/in.csv/deep", "a folder in the place of a file");
  REQUIRE(fs.symlink("/etc/passwd", dir + "/link").has_value());
  REQUIRE(slots.prepare_staging("reader", kNew, variant_of("new")).has_value());
  CHECK(fs.text(dir + "/model.onnx") == "model new");
  fs.put(dir + "/golden/in.csv", "1,2");
  CHECK(slots.install("reader", kNew, variant_of("new")).has_value());
  REQUIRE(fs.remove_tree(kHome + "/staging").has_value());
  fs.put(kHome + "/staging", "a file");
  REQUIRE(slots.prepare_staging("reader", kNew, variant_of("new")).has_value());
  CHECK(fs.list(dir)->empty());
}

TEST_CASE("the way back is a rename: on a full disk it works once a switch was made, and again after it could be made ready") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  REQUIRE(slots.switch_to("reader", kNew).has_value());
  fs.fill();
  REQUIRE(slots.switch_to("reader", kOld).has_value());
  CHECK(*slots.current("reader") == kOld);
  CHECK(slots.switch_to("reader", kNew).error().code == "disk_full");
  CHECK(*slots.current("reader") == kOld);
  fs.fill(false);
  REQUIRE(slots.ready_way_back("reader", kNew).has_value());
  fs.fill();
  REQUIRE(slots.switch_to("reader", kNew).has_value());
}

TEST_CASE("a file whose sync failed is not believed: it goes, and is brought anew") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  auto const file = slots.staging("reader", kNew) + "/model.onnx";
  fs.break_sync(file);
  CHECK(slots.install("reader", kNew, variant_of("new")).error().kind == Kind::io);
  CHECK_FALSE(fs.text(file).has_value());
}

TEST_CASE("what was touched after it was checked is not switched to") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  CHECK(slots.check_unchanged("reader", kNew, variant_of("new")).has_value());
  // Another process checked it: once more, by its digests.
  CHECK(Slots(fs, Layout{"/agent"}).check_unchanged("reader", kNew, variant_of("new")).has_value());
  fs.put(kHome + "/versions/" + kNew + "/model.onnx", "model bad");
  CHECK(slots.check_unchanged("reader", kNew, variant_of("new")).error().code == "digest_mismatch");
  fs.put(kHome + "/versions/" + kNew + "/model.onnx", "model new");
  CHECK(slots.check_unchanged("reader", kNew, variant_of("new")).has_value());
  fs.put(kHome + "/versions/" + kNew + "/more", "x");
  CHECK(slots.check_unchanged("reader", kNew, variant_of("new")).error().code == "digest_mismatch");
}

TEST_CASE("variants of one release lie side by side; cut at any call of a switch between them, `current` leads to one of them, whole, and the way back is untouched") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      auto fs = running_old();
      Slots slots(fs, Layout{"/agent"});
      REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
      stage(fs, slots, slot_name(kNew, "small"), "small");
      REQUIRE(slots.install("reader", slot_name(kNew, "small"), variant_of("small")).has_value());
      REQUIRE(slots.switch_to("reader", kNew).has_value());
      fs.restart(CrashFs::Loss::unsynced);
      fs.cut_at(step);
      bool const done = slots.switch_variant("reader", kNew, "small").has_value();
      bool const hit = fs.was_hit();
      fs.restart(loss);
      CHECK(*slots.current("reader") == kNew);  // it is the same release throughout
      auto const variant = slots.current_variant("reader").value();
      if (done) CHECK(variant == "small");
      CHECK(slots.is_whole("reader", slot_name(kNew, variant), variant_of(variant.empty() ? "new" : "small")).value());
      REQUIRE(slots.switch_to("reader", kOld).has_value());
      CHECK(*slots.current("reader") == kOld);
      CHECK(slots.current_variant("reader")->empty());
      if (!hit) break;
    }
  }
}

TEST_CASE("what is kept of a release is kept with its variants, counted with them, and goes with them") {
  auto fs = running_old();
  Slots slots(fs, Layout{"/agent"});
  REQUIRE(slots.install("reader", kNew, variant_of("new")).has_value());
  auto const alone = slots.size_of("reader", kNew).value();
  stage(fs, slots, slot_name(kNew, "small"), "small");
  REQUIRE(slots.install("reader", slot_name(kNew, "small"), variant_of("small")).has_value());
  CHECK(slots.size_of("reader", kNew).value() > alone);
  CHECK(slots.versions("reader").value() == std::vector<std::string>{kOld, kNew});
  REQUIRE(slots.collect("reader", {kNew}).has_value());
  CHECK(slots.is_whole("reader", slot_name(kNew, "small"), variant_of("small")).value());
  CHECK_FALSE(fs.info(kHome + "/versions/" + kOld).has_value());
  REQUIRE(slots.collect("reader", {}).has_value());
  CHECK_FALSE(fs.info(kHome + "/versions/" + slot_name(kNew, "small")).has_value());
}
