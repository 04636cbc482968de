#include "tests/unit/agent/device.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

/// Its golden test fails without a program: it calls a file that the release does not have.
wire::Manifest failing_golden(Millis again) {
  wire::Manifest manifest;
  manifest.golden = wire::Golden{{"bin/none"}, Millis{1'000}, {}, "out.csv"};
  manifest.golden->again = again;
  return manifest;
}

struct Running {
  Device device;
  Sample release;
  explicit Running(wire::Manifest manifest) : release(sample("1", std::move(manifest))) {
    device.run_committed(release);
    is_system("debian");
    device.runner->round();
  }
  void is_system(std::string system, std::string changes = {}) {
    device.context->system = std::move(system);
    device.context->system_changes = std::move(changes);
  }
  void after(Millis time) {
    device.clock.advance(time);
    device.runner->round();
  }
  [[nodiscard]] std::vector<std::string> notes() const {
    std::vector<std::string> out;
    auto const report = device.context->spool->next(64 << 20);
    for (auto const tier : wire::kTiers)
      for (auto const& item : report.items[tier])
        if (item.note) out.push_back(item.note->code + ": " + item.note->text);
    return out;
  }
  [[nodiscard]] Checked checked() const { return device.state().checked; }
};

bool says(std::string const& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("the golden test of what runs is run again when its time comes; a change is told once, and what runs stays") {
  Running running(failing_golden(std::chrono::days{7}));
  CHECK(running.checked().digest == running.release.digest);
  running.after(std::chrono::days{6});
  CHECK(running.notes().empty());
  running.after(std::chrono::days{2});
  REQUIRE(running.notes().size() == 1);
  CHECK(says(running.notes()[0], "golden_changed: reader@1 runs, and fails its golden test now (not_in_release): 'bin/none' is no file of the release"));
  CHECK(says(running.notes()[0], "It runs on"));
  CHECK(running.device.state().state == State::committed);
  CHECK(running.device.current() == running.release.digest);
  running.after(std::chrono::days{8});
  running.after(std::chrono::days{8});
  CHECK(running.notes().size() == 1);
  CHECK(running.checked().code == "not_in_release");
}

TEST_CASE("a release that does not ask for it is not tested again while the device is what it was") {
  Running running(failing_golden(Millis{0}));
  running.after(std::chrono::days{900});
  CHECK(running.notes().empty());
  running.is_system("debian", "");
  running.after(std::chrono::days{1});
  CHECK(running.notes().empty());
}

TEST_CASE("where the system is another, golden test and runtimes are looked at again, and what changed is told") {
  wire::Manifest manifest;
  manifest.match.runtime = "onnxruntime>=1.16,<1.18";
  Running running(manifest);
  auto& reported = running.device.context->identity.reported;
  reported["onnxruntime"] = "1.17.1";
  running.is_system("debian 2", "kernel was 6.1 and is 6.6 now");
  running.after(Millis{0});
  CHECK(running.notes().empty());  // nothing came of it
  CHECK(running.checked().system == "debian 2");
  reported["onnxruntime"] = "1.18.0";
  running.is_system("debian 3", "onnxruntime was 1.17.1 and is 1.18.0 now");
  running.after(Millis{0});
  REQUIRE(running.notes().size() == 1);
  CHECK(says(running.notes()[0], "fails its golden test now (ineligible): runtime onnxruntime is 1.18.0 here, onnxruntime<1.18 is needed; onnxruntime was 1.17.1 and is 1.18.0 now"));
  running.after(std::chrono::days{1});
  CHECK(running.notes().size() == 1);
  reported["onnxruntime"] = "1.17.2";
  running.is_system("debian 4");
  running.after(Millis{0});
  REQUIRE(running.notes().size() == 2);
  CHECK(says(running.notes()[1], "passes its golden test again; the system is another"));
  CHECK(running.checked().code.empty());
}

TEST_CASE("a test that takes the device down three times is not run a fourth time until its time comes again") {
  Running running(failing_golden(std::chrono::days{7}));
  auto state = running.device.state();
  state.checked.starts = 3;
  REQUIRE(running.device.context->journal.save(state).has_value());
  running.after(std::chrono::days{8});
  REQUIRE(running.notes().size() == 1);
  CHECK(says(running.notes()[0], "(interrupted): its golden test began 3 times in a row and never ended"));
  CHECK(running.checked().starts == 0);
}

TEST_CASE("what this device lacks is no result: it is tried again, and nothing is told") {
  auto manifest = failing_golden(std::chrono::days{7});
  manifest.golden->command = {"reader"};  // a program that the owner may name
  Running running(manifest);
  running.after(std::chrono::days{8});
  running.after(std::chrono::hours{1});
  CHECK(running.notes().empty());
  CHECK(running.checked().starts == 0);
  CHECK(running.checked().code.empty());
}

TEST_CASE("the record of the last test survives a restart, and goes with what it was of") {
  Running running(failing_golden(std::chrono::days{7}));
  running.after(std::chrono::days{8});
  auto const before = running.checked();
  REQUIRE(running.device.boot());
  CHECK(running.checked().code == before.code);
  CHECK(running.checked().at == before.at);
  auto const two = sample("2");
  running.device.bring(two);
  running.is_system("debian");
  REQUIRE(running.device.direct({Device::target(two, "ro-2")}));
  running.device.settle();
  REQUIRE(running.device.state().running.version == "2");
  CHECK(running.checked().digest != two.digest);  // it asks for nothing
}
