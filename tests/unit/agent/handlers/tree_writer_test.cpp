#include "agent/handlers/handler.hpp"
#include "agent/handlers/tree_writer.hpp"
#include "agent/handlers/unpack.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kDigest(64, 'b');
std::atomic<bool> const kGoOn{false};

wire::ReleaseFile file_of(std::string name, std::string_view content) { return {std::move(name), content.size(), crypto::sha256(content), false}; }

/// Two archives, one of them in a folder, and a file.
wire::Variant packed_variant() { return {{"cam-a"}, {file_of("app.tar", "tar"), file_of("data/w.zip", "zip"), file_of("labels.txt", "a,b")}, {}, {}}; }

struct Staged {
  Staged() : slots(fs, Layout{"/agent"}) { stage(); }
  void stage() {
    fs.put(dir() + "/app.tar", "tar");
    fs.put(dir() + "/data/w.zip", "zip");
    fs.put(dir() + "/labels.txt", "a,b");
  }
  [[nodiscard]] std::string dir() const { return slots.staging("reader", kDigest); }
  CrashFs fs;
  Slots slots;
  wire::Variant variant = packed_variant();
  Packed packed{"reader", kDigest, variant};
};

Result<void> put(TreeWriter& writer, std::string_view name, std::string_view content, bool executable = false) {
  FLEET_CHECK(writer.file(name, executable));
  return writer.data(as_bytes(content));
}

Result<wire::Variant> write_sample(TreeWriter& writer) {
  writer.begin("app.tar", {100, 4096});
  FLEET_CHECK(writer.folder("lib"));
  FLEET_CHECK(put(writer, "lib/run", "#!/bin/sh", true));
  FLEET_CHECK(writer.folder("empty"));
  FLEET_CHECK(writer.link("latest", "data/model"));
  FLEET_CHECK(put(writer, "nested.tar", "a tar in a tar"));
  FLEET_CHECK(writer.end());
  writer.begin("data/w.zip", {100, 4096});
  FLEET_CHECK(put(writer, "model", "weights"));
  FLEET_CHECK(writer.end());
  return writer.finish();
}

}  // namespace

TEST_CASE("a slot holds what its archives hold, each in the folder of its archive, beside the release's other files") {
  Staged staged;
  TreeWriter writer(staged.fs, staged.dir(), staged.variant, kGoOn);
  auto const tree = write_sample(writer);
  REQUIRE(tree.has_value());
  REQUIRE(install_tree(staged.fs, staged.slots, staged.packed, *tree).has_value());
  auto const slot = staged.slots.slot("reader", kDigest);
  CHECK(staged.fs.text(slot + "/data/model") == "weights");
  CHECK(staged.fs.text(slot + "/labels.txt") == "a,b");
  CHECK(staged.fs.text(slot + "/nested.tar") == "a tar in a tar");
  CHECK(staged.fs.info(slot + "/lib/run")->executable);
  CHECK_FALSE(staged.fs.info(slot + "/data/model")->executable);
  CHECK(staged.fs.info(slot + "/empty")->type == FileInfo::Type::directory);
  CHECK(staged.fs.read_link(slot + "/latest").value() == "data/model");
  CHECK_FALSE(staged.fs.info(slot + "/app.tar").has_value());
  CHECK_FALSE(staged.fs.info(slot + "/data/w.zip").has_value());

  wire::Release release{"reader", "2", 2, {staged.variant}, {}};
  release.manifest.handler = wire::kArchiveHandler;
  auto const contents = contents_of(staged.slots, "reader", kDigest, release, staged.variant);
  REQUIRE(contents.has_value());
  CHECK(staged.slots.is_whole("reader", kDigest, *contents).value());
  staged.fs.put(slot + "/data/model", "weighty");
  CHECK_FALSE(staged.slots.is_whole("reader", kDigest, *contents).value());
  staged.fs.put(slot + "/data/model", "weights");
  staged.fs.put(slot + "/more", "");
  CHECK_FALSE(staged.slots.is_whole("reader", kDigest, *contents).value());
}

TEST_CASE("cut at any call, the slot is whole or the release is unpacked again, and what went before stays") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    int finished = 0;
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Staged staged;
      auto const install = [&]() -> Result<void> {
        TreeWriter writer(staged.fs, staged.dir(), staged.variant, kGoOn);
        FLEET_TRY(auto const tree, write_sample(writer));
        return install_tree(staged.fs, staged.slots, staged.packed, tree);
      };
      staged.fs.cut_at(step);
      bool const done = install().has_value();
      bool const hit = staged.fs.was_hit();
      staged.fs.restart(loss);
      wire::Release release{"reader", "2", 2, {staged.variant}, {}};
      release.manifest.handler = wire::kArchiveHandler;
      auto const is_whole = [&] {
        auto const contents = contents_of(staged.slots, "reader", kDigest, release, staged.variant);
        return contents && staged.slots.is_whole("reader", kDigest, *contents).value();
      };
      if (done) CHECK(is_whole());
      if (!is_whole()) {
        auto const gone_on = finish_unpacked(staged.fs, staged.slots, staged.packed);
        REQUIRE(gone_on.has_value());
        finished += *gone_on ? 1 : 0;
        if (!*gone_on) {  // as a download does, which brings what is not there
          REQUIRE(staged.slots.prepare_staging("reader", kDigest, staged.variant).has_value());
          staged.stage();
          REQUIRE(install().has_value());
        }
      }
      CHECK(is_whole());
      if (!hit) break;
    }
    CHECK(finished > 0);
  }
}

TEST_CASE("what a reader tells is not believed") {
  using Writes = std::function<Result<void>(TreeWriter&)>;
  struct Case {
    std::string why;
    Writes write;
  };
  for (auto const& wanted : std::to_array<Case>({
           {"without empty", [](TreeWriter& w) { return put(w, "../evil", "x"); }},
           {"without empty", [](TreeWriter& w) { return put(w, "/etc/passwd", "x"); }},
           {"without empty", [](TreeWriter& w) { return w.folder("a/../.."); }},
           {"twice, or beside the archive", [](TreeWriter& w) { return put(w, "labels.txt", "x"); }},
           {"twice, or beside the archive", [](TreeWriter& w) { return put(w, "app.tar", "x"); }},
           {"twice, or beside the archive", [](TreeWriter& w) { return put(w, "a", "x") ? put(w, "a", "x") : Result<void>{}; }},
           {"twice, or beside the archive", [](TreeWriter& w) { return w.link("a", "labels.txt") ? put(w, "a", "x") : Result<void>{}; }},
           {"lies below a file", [](TreeWriter& w) { return w.link("a", "lib") ? put(w, "a/b", "x") : Result<void>{}; }},
           {"lies below a file", [](TreeWriter& w) { return put(w, "labels.txt/b", "x"); }},
           {"is a folder, too", [](TreeWriter& w) { return put(w, "data", "x"); }},
           {"is a folder, too", [](TreeWriter& w) { return put(w, "a/b", "x") ? put(w, "a", "x") : Result<void>{}; }},
           {"more than 16 bytes", [](TreeWriter& w) { return put(w, "a", "sixteen bytes, and") ; }},
       })) {
    CAPTURE(wanted.why);
    Staged staged;
    TreeWriter writer(staged.fs, staged.dir(), staged.variant, kGoOn);
    writer.begin("app.tar", {100, 16});
    auto const written = wanted.write(writer);
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == "bad_archive");
    CHECK(written.error().detail.find(wanted.why) != std::string::npos);
  }
  for (auto const* const target : {"/etc/passwd", "../x", "lib/../../x", "nowhere", "l", "."}) {
    CAPTURE(target);
    Staged staged;
    TreeWriter writer(staged.fs, staged.dir(), staged.variant, kGoOn);
    writer.begin("app.tar", {100, 16});
    REQUIRE(writer.link("l", target).has_value());
    auto const tree = writer.finish();
    REQUIRE_FALSE(tree.has_value());
    CHECK(tree.error().code == "bad_archive");
  }
}

TEST_CASE("a disk that is full says so, and so does a stop") {
  Staged staged;
  TreeWriter writer(staged.fs, staged.dir(), staged.variant, kGoOn);
  writer.begin("app.tar", {100, 4096});
  staged.fs.set_free(1024);
  CHECK(put(writer, "a", "x").error().code == "disk_full");
  std::atomic<bool> const stop{true};
  TreeWriter stopped(staged.fs, staged.dir(), staged.variant, stop);
  stopped.begin("app.tar", {100, 4096});
  CHECK(put(stopped, "b", "x").error().code == "interrupted");
}

TEST_CASE("a handler that the owner does not allow is told with those he does") {
  Config config;
  wire::Release release{"reader", "2", 2, {packed_variant()}, {}};
  CHECK(check_handler(release, config).has_value());
  release.manifest.handler = wire::kArchiveHandler;
  auto const refused = check_handler(release, config);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "ineligible");
  CHECK(refused.error().detail == "reader@2 is installed by the handler archive, and this device allows files (handlers in its agent.yaml)");
  config.handlers = {"files", "archive"};
  CHECK(check_handler(release, config).has_value());
  release.manifest.handler = "of-tomorrow";
  CHECK(check_handler(release, config).error().detail == "reader@2 is installed by the handler 'of-tomorrow', which this agent does not have");
}
