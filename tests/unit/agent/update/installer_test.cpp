#include "tests/unit/agent/device.hpp"
#include "tests/unit/core/proof/release_folder.hpp"

#include <sstream>

using namespace fleet;
using namespace fleet::agent;

namespace {

wire::Manifest by_box() {
  wire::Manifest manifest;
  manifest.handler = wire::kExecHandler;
  manifest.installer = wire::Installer{"box", Millis{5'000}};
  return manifest;
}

/// A device whose owner lets `box` install. What it was asked is on the real disk, which no cut takes back.
struct BoxDevice : Device {
  explicit BoxDevice(std::string const& body = "") {
    log = folder.open_folder() + "/log";
    folder.script("box", "echo \"$1 $FLEET_VERSION\" >>" + log + "\n" + body);
    fs.put("/agent/agent.yaml", fmt::format("handlers: [files, exec]\nexec: {{programs: {{box: {}/box}}{}}}\n", folder.slot(), folder.exec.run_as.empty() ? "" : ", run_as: " + folder.exec.run_as));
    boot();
  }
  [[nodiscard]] std::vector<std::string> asked() const {
    std::ifstream file(log);
    std::vector<std::string> out;
    for (std::string line; std::getline(file, line);) out.push_back(line);
    return out;
  }
  proof::ReleaseFolder folder;
  std::string log;
};

}  // namespace

TEST_CASE("a release that a program installs goes through the machine's states") {
  BoxDevice device;
  device.run_committed(sample("1"));
  auto const next = sample("2", by_box());
  device.bring(next);
  REQUIRE(device.direct({Device::target(next)}));
  device.settle();
  CHECK(device.state().state == State::committed);
  CHECK(device.current() == next.digest);
  CHECK(device.asked() == std::vector<std::string>{"install 2", "switch 2", "commit 2"});
}

TEST_CASE("cut at any call, a program is asked again, in order, and the end is the same") {
  for (int step = 1;; ++step) {
    CAPTURE(step);
    BoxDevice device;
    device.run_committed(sample("1"));
    auto const next = sample("2", by_box());
    device.bring(next);
    device.fs.cut_at(step);
    static_cast<void>(device.direct({Device::target(next)}));
    device.settle(4);
    bool const hit = device.fs.was_hit();
    device.fs.restart(CrashFs::Loss::unsynced);
    REQUIRE(device.boot());
    device.bring(next);
    REQUIRE(device.direct({Device::target(next)}));
    device.settle(4);
    CHECK(device.state().state == State::committed);
    CHECK(device.current() == next.digest);
    auto const asked = device.asked();
    auto const first = [&](std::string const& what) { return std::find(asked.begin(), asked.end(), what) - asked.begin(); };
    CHECK(first("install 2") < first("switch 2"));
    CHECK(first("switch 2") < first("commit 2"));
    CHECK(std::find(asked.begin(), asked.end(), "commit 2") != asked.end());
    CHECK(std::find(asked.begin(), asked.end(), "rollback 2") == asked.end());
    if (!hit) break;
  }
}

TEST_CASE("what cannot be switched to goes back, and a way back that fails is tried until it does not") {
  BoxDevice device("[ \"$1\" != switch ] || exit 1\n[ \"$1\" != rollback ] || [ -e " + std::string("$(dirname $0)/../open/mended ] || exit 1"));
  device.run_committed(sample("1"));
  auto const next = sample("2", by_box());
  device.bring(next);
  REQUIRE(device.direct({Device::target(next)}));
  device.settle(3);
  CHECK(device.state().state == State::rolling_back);
  CHECK(device.state().waiting == "rollback_failed");
  CHECK(device.current() == sample("1").digest);
  std::ofstream(device.folder.open_folder() + "/mended") << "";
  device.settle(3);
  CHECK(device.state().state == State::rolled_back);
  CHECK(device.state().error.code == "switch_failed");
  auto const reports = device.reported_states();
  CHECK(std::find(reports.begin(), reports.end(), "rolled_back") != reports.end());
}

TEST_CASE("what a boot loader went back to is what runs, and what did not stay is not taken again by itself") {
  BoxDevice device("[ \"$1\" != state ] || cat $(dirname $0)/../open/runs");
  auto const first = sample("1", by_box()), next = sample("2", by_box());
  device.run_committed(first);
  device.bring(next);
  REQUIRE(device.direct({Device::target(next, "ro-2")}));
  device.settle(3);
  REQUIRE(device.state().state == State::committed);
  std::ofstream(device.folder.open_folder() + "/runs") << "current=" << first.digest << "\n";
  REQUIRE(device.boot());
  CHECK(device.state().state == State::rolled_back);
  CHECK(device.state().error.code == "fell_back");
  CHECK(device.state().running.digest == first.digest);
  CHECK(device.current() == first.digest);
  device.settle(3);
  CHECK(device.current() == first.digest);
  std::ofstream(device.folder.open_folder() + "/runs") << "current=" << std::string(64, 'f') << "\n";
  REQUIRE(device.boot());
  CHECK(device.current() == first.digest);
  std::ofstream(device.folder.open_folder() + "/runs") << "current=\n";
  REQUIRE(device.boot());
  CHECK(device.current().empty());
  CHECK(device.state().running.none());
}
