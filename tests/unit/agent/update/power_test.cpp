#include "tests/unit/agent/device.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

/// A release with a variant for a weak battery, both in their slots; what runs is the hardware's own.
struct Powered {
  Device device;
  Sample release;
  std::string small = "small model";

  Powered() {
    device.fs.put("/agent/agent.yaml", "conditions: {battery: /sys/battery}");
    device.fs.put("/sys/battery", "80\n");
    wire::Manifest manifest;
    manifest.variants["small"] = {30, std::nullopt, std::nullopt};
    release = sample("1", manifest);
    auto whole = *wire::decode_wanted_release("reader", R"({"version":"1","variants":[{"hardware":["cam-a"],"files":[{"name":"m","size":1,"sha256":")" + std::string(64, 'a') + R"("}]}]})");
    whole.manifest = manifest;
    whole.variants = {{{"cam-a"}, {{"model.onnx", release.content.size(), crypto::sha256(release.content), false}}},
                      {{"cam-a"}, {{"model.onnx", small.size(), crypto::sha256(small), false}}, {}, {}, "small"}};
    release.document = wire::encode(whole);
    release.digest = crypto::sha256(release.document).hex();
    device.run_committed(release);
    install(whole, "small", small);
  }
  void install(wire::Release const& whole, std::string const& name, std::string const& content) {
    auto const slot = slot_name(release.digest, name);
    device.fs.put("/agent/models/reader/staging/" + slot + "/model.onnx", content);
    for (auto const& variant : whole.variants)
      if (variant.name == name) REQUIRE(device.context->slots.install("reader", slot, variant).has_value());
  }
  void battery(int percent) { device.fs.put("/sys/battery", std::to_string(percent) + "\n"); }
  /// So many looks, and the time between them.
  void looks(int many) {
    for (int i = 0; i < many; ++i) {
      device.clock.advance(std::chrono::seconds{5});
      device.runner->round();
    }
  }
  [[nodiscard]] std::string variant() const { return device.context->slots.current_variant("reader").value(); }
  [[nodiscard]] std::string content() { return *device.fs.text("/agent/models/reader/versions/" + slot_name(release.digest, variant()) + "/model.onnx"); }
  [[nodiscard]] std::vector<std::string> notes() const {
    std::vector<std::string> out;
    auto const report = device.context->spool->next(64 << 20);
    for (auto const tier : wire::kTiers)
      for (auto const& item : report.items[tier])
        if (item.note) out.push_back(item.note->text);
    return out;
  }
};

}  // namespace

TEST_CASE("a weak battery switches to the variant for it, and a full one back, without a word of the server") {
  Powered powered;
  powered.looks(3);
  CHECK(powered.variant().empty());
  powered.battery(25);
  powered.looks(1);
  CHECK(powered.variant().empty());  // one look is no condition
  powered.looks(1);
  CHECK(powered.variant() == "small");
  CHECK(powered.content() == "small model");
  CHECK(powered.device.state().variant == "small");
  CHECK(powered.device.current() == powered.release.digest);  // it is the same release
  CHECK(powered.device.state().state == State::committed);
  powered.battery(34);
  powered.looks(30);
  CHECK(powered.variant() == "small");  // within the margin
  powered.battery(80);
  powered.looks(2);
  CHECK(powered.variant().empty());
  REQUIRE(powered.notes().size() == 2);
  CHECK(powered.notes()[0] == "reader@1 runs as variant 'small' now: battery 25 %");
  CHECK(powered.notes()[1] == "reader@1 runs as its hardware's own variant now: battery 80 %");
}

TEST_CASE("between two switches a minute passes, however the readings jump") {
  Powered powered;
  powered.battery(10);
  powered.looks(2);
  REQUIRE(powered.variant() == "small");
  powered.battery(90);
  powered.looks(10);
  CHECK(powered.variant() == "small");
  powered.looks(3);
  CHECK(powered.variant().empty());
}

TEST_CASE("a variant whose files were touched is not switched to, which is told once") {
  Powered powered;
  powered.device.fs.put("/agent/models/reader/versions/" + slot_name(powered.release.digest, "small") + "/model.onnx", "other bytes");
  powered.battery(10);
  powered.looks(40);
  CHECK(powered.variant().empty());
  REQUIRE(powered.notes().size() == 1);
  CHECK(powered.notes()[0].find("reader@1 stays as its hardware's own variant: ") == 0);
}

TEST_CASE("another release begins as its hardware's own, and what is kept of a variant goes with its release") {
  Powered powered;
  powered.battery(10);
  powered.looks(2);
  REQUIRE(powered.variant() == "small");
  for (std::string const version : {"2", "3", "4"}) {
    auto const next = sample(version);
    powered.device.bring(next);
    REQUIRE(powered.device.direct({Device::target(next, "ro-" + version)}));
    powered.device.settle();
    REQUIRE(powered.device.current() == next.digest);
    CHECK(powered.variant().empty());
    CHECK(powered.device.state().variant.empty());
  }
  CHECK_FALSE(powered.device.fs.text("/agent/models/reader/versions/" + slot_name(powered.release.digest, "small") + "/model.onnx"));
  CHECK_FALSE(powered.device.fs.text("/agent/models/reader/versions/" + powered.release.digest + "/model.onnx"));
}

TEST_CASE("the way back from a variant is the version before, and power may go at any call of a switch") {
  Powered powered;
  powered.device.context->slots.ready_way_back("reader", std::string(64, 'b')).value();
  powered.battery(10);
  powered.looks(2);
  REQUIRE(powered.variant() == "small");
  CHECK(powered.device.fs.read_link("/agent/models/reader/current.back").value() == "versions/" + std::string(64, 'b'));
  // The link is there, the word to the app is not: it is told at the next start.
  auto state = powered.device.state();
  state.variant.clear();
  REQUIRE(powered.device.context->journal.save(state).has_value());
  REQUIRE(powered.device.boot());
  powered.looks(1);
  CHECK(powered.variant() == "small");
  CHECK(powered.device.state().variant == "small");
}
