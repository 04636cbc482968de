#include "agent/delivery/sealed_slot.hpp"

#include "core/crypto/hash.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kModel = "reader", kDigest(64, 'a'), kOther(64, 'b');
std::atomic<bool> const kGoOn{false};

wire::Variant variant_of(std::string const& content) {
  return {{"cam-a"}, {{"model.bin", content.size(), crypto::sha256(content), false}, {"golden/in.csv", 3, crypto::sha256("1,2"), false}}};
}

/// A device with a slot in memory.
struct Device {
  CrashFs fs;
  Slots slots{fs, Layout{"/agent"}, "/memory"};
  std::string content = std::string(700'000, 'x') + "the weights";
  wire::Variant variant = variant_of(content);
  crypto::DataKey key = *crypto::DataKey::from_bytes(Bytes(32, 4));

  Device() {
    REQUIRE(fs.make_dirs("/agent").has_value());
    REQUIRE(fs.sync_dir("/").has_value());
    REQUIRE(slots.keep_in_memory(kModel, kDigest, "wrapped").has_value());
    REQUIRE(slots.prepare_staging(kModel, kDigest, variant).has_value());
    auto const dir = slots.staging(kModel, kDigest);
    fs.put(dir + "/model.bin", content);
    fs.put(dir + "/golden/in.csv", "1,2");
    REQUIRE(slots.install(kModel, kDigest, variant).has_value());
  }
  [[nodiscard]] SealedSlot sealed() const { return {kModel, kDigest, variant, key}; }
  Result<bool> unseal() { return unseal_slot(fs, slots, sealed(), kGoOn); }
  bool is_whole() { return slots.is_whole(kModel, kDigest, variant).value(); }
  void boot() { REQUIRE(fs.remove_tree("/memory").has_value()); }
};

}  // namespace

TEST_CASE("a slot in memory lies there alone, `current` leads there, and what the disk has cannot be read") {
  Device device;
  REQUIRE(device.slots.switch_to(kModel, kDigest).has_value());
  CHECK(device.fs.read_link("/agent/models/reader/current").value() == "/memory/reader/versions/" + kDigest);
  CHECK(*device.slots.current(kModel) == kDigest);
  CHECK_FALSE(device.fs.info("/agent/models/reader/versions/" + kDigest).has_value());
  REQUIRE(seal_slot(device.fs, device.slots, device.sealed(), kGoOn).has_value());
  auto const dir = "/agent/models/reader/sealed/" + kDigest;
  CHECK(device.fs.list(dir)->size() == 3);
  for (auto const& file : device.variant.files) {
    auto const bytes = device.fs.read(dir + "/" + file.sha256.hex(), 1U << 20);
    REQUIRE(bytes.has_value());
    CHECK(bytes->find("the weights") == std::string::npos);
    CHECK(bytes->find("1,2") == std::string::npos);
    CHECK(bytes->size() > file.size);
  }
  CHECK(device.slots.kept_key(kModel, kDigest).value() == "wrapped");
  CHECK(device.slots.versions(kModel).value() == std::vector{kDigest});
  CHECK(device.slots.memory_bytes() == device.content.size() + 3);
  CHECK(device.slots.size_of(kModel, kDigest).value() == device.content.size() + 3);
}

TEST_CASE("after a boot the slot is made again out of what lies encrypted, and the disk is no worse for it") {
  Device device;
  REQUIRE(device.slots.switch_to(kModel, kDigest).has_value());
  REQUIRE(seal_slot(device.fs, device.slots, device.sealed(), kGoOn).has_value());
  device.boot();
  CHECK_FALSE(device.is_whole());
  CHECK(device.unseal().value());
  CHECK(device.is_whole());
  CHECK(device.fs.read("/memory/reader/versions/" + kDigest + "/model.bin", 1U << 20).value() == device.content);
}

TEST_CASE("what lies encrypted and is spoiled, cut, missing or another key's makes no slot, and is fetched again") {
  for (int const what : {0, 1, 2, 3}) {
    CAPTURE(what);
    Device device;
    REQUIRE(seal_slot(device.fs, device.slots, device.sealed(), kGoOn).has_value());
    device.boot();
    auto const path = "/agent/models/reader/sealed/" + kDigest + "/" + device.variant.files[0].sha256.hex();
    auto bytes = device.fs.read(path, 1U << 20).value();
    if (what == 0) bytes[300'000] = static_cast<char>(bytes[300'000] ^ 1);
    if (what == 1) bytes.resize(400'000);
    if (what == 3) device.key = *crypto::DataKey::from_bytes(Bytes(32, 5));
    if (what == 2) REQUIRE(device.fs.remove(path).has_value());
    else device.fs.put(path, bytes);
    CHECK_FALSE(device.unseal().value());
    CHECK_FALSE(device.is_whole());
    CHECK_FALSE(device.fs.info(path).has_value());
  }
}

TEST_CASE("killed at any call of the sealing, it is done in the end; after a power cut no half of it is taken for the model") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced})
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Device device;
      device.fs.cut_at(step);
      static_cast<void>(seal_slot(device.fs, device.slots, device.sealed(), kGoOn));
      bool const hit = device.fs.was_hit();
      device.fs.restart(loss);
      if (loss == CrashFs::Loss::nothing) {
        REQUIRE(device.is_whole());
        REQUIRE(seal_slot(device.fs, device.slots, device.sealed(), kGoOn).has_value());
      }
      device.boot();
      auto const made = device.unseal();
      REQUIRE(made.has_value());
      CHECK(*made == device.is_whole());
      if (loss == CrashFs::Loss::nothing || !hit) CHECK(*made);
      if (!hit) break;
    }
}

TEST_CASE("what is kept no longer goes from the memory and from the disk") {
  Device device;
  REQUIRE(seal_slot(device.fs, device.slots, device.sealed(), kGoOn).has_value());
  REQUIRE(device.slots.collect(kModel, {kOther}).has_value());
  CHECK(device.slots.memory_bytes() == 0);
  CHECK_FALSE(device.slots.is_in_memory(kModel, kDigest));
  CHECK(device.fs.list("/agent/models/reader/sealed")->empty());
}

TEST_CASE("without a folder in memory nothing is there, and a folder on a disk is none") {
  CrashFs fs;
  Slots slots(fs, Layout{"/agent"});
  CHECK_FALSE(slots.has_memory());
  CHECK_FALSE(slots.is_in_memory(kModel, kDigest));
  CHECK(slots.slot(kModel, kDigest) == "/agent/models/reader/versions/" + kDigest);
  CHECK(check_memory_dir("/proc").error().code == "no_memory_dir");
  CHECK(check_memory_dir("/dev/shm").has_value());
  CHECK(check_memory_dir("/nowhere").error().kind == Kind::io);
}
