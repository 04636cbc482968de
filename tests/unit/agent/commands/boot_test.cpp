#include "agent/commands/boot.hpp"

#include "agent/slots/slots.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

namespace fleet::agent {
namespace {

std::string const kOld(64, 'a'), kNew(64, 'b');

/// A root whose agent was switched from `kOld` (or from the package's program) to `kNew`.
struct Root {
  CrashFs fs;
  Layout layout{"/agent"};
  Slots slots{fs, layout};
  explicit Root(bool from_package = false) {
    for (auto const& slot : {kOld, kNew}) fs.put("/agent/models/fleet-agent/versions/" + slot + "/fleet-agent", slot);
    REQUIRE(fs.make_dirs(layout.state()).has_value());
    if (!from_package) REQUIRE(slots.switch_to("fleet-agent", kOld).has_value());
    REQUIRE(save_boot(fs, layout, {kNew, from_package ? "" : kOld, 0, Millis{60'000}}).has_value());
  }
  void switch_over() { REQUIRE(slots.switch_to("fleet-agent", kNew).has_value()); }
  [[nodiscard]] std::string current() const { return slots.current("fleet-agent").value(); }
  [[nodiscard]] static std::string program(std::string const& slot) { return "/agent/models/fleet-agent/versions/" + slot + "/fleet-agent"; }
};

TEST_CASE("without a release of the agent the program that was started is the agent") {
  CrashFs fs;
  CHECK(choose_program(fs, Layout{"/agent"}) == Choice{});
}

TEST_CASE("what is on trial is started three times, each counted beforehand, and then what ran before is back") {
  for (bool const from_package : {false, true}) {
    CAPTURE(from_package);
    Root root(from_package);
    // The switch was announced and not made: what runs is no trial.
    CHECK(choose_program(root.fs, root.layout).slot == (from_package ? "" : kOld));
    CHECK(load_boot(root.fs, root.layout).value()->starts == 0);
    root.switch_over();
    for (int start = 1; start <= 3; ++start) {
      CHECK(choose_program(root.fs, root.layout) == Choice{kNew, Root::program(kNew), Millis{60'000}});
      CHECK(load_boot(root.fs, root.layout).value()->starts == start);
    }
    auto const back = from_package ? Choice{} : Choice{kOld, Root::program(kOld), Millis{0}};
    CHECK(choose_program(root.fs, root.layout) == back);
    CHECK(root.current() == (from_package ? "" : kOld));
    CHECK(choose_program(root.fs, root.layout) == back);  // and stays
  }
}

TEST_CASE("an ordinary end counts no start, and what was proved is on trial no more") {
  Root root;
  root.switch_over();
  for (int i = 0; i < 10; ++i) {
    CHECK(choose_program(root.fs, root.layout).slot == kNew);
    forgive_start(root.fs, root.layout, kNew);
  }
  forgive_start(root.fs, root.layout, kOld);
  CHECK(load_boot(root.fs, root.layout).value()->starts == 0);
  REQUIRE(forget_boot(root.fs, root.layout).has_value());
  for (int i = 0; i < 10; ++i) CHECK(choose_program(root.fs, root.layout) == Choice{kNew, Root::program(kNew), Millis{0}});
}

TEST_CASE("what cannot be started at all is gone back from at once; proved before, the program of the package stands in") {
  Root root;
  root.switch_over();
  CHECK(choose_program(root.fs, root.layout, kNew).slot == kOld);
  CHECK(root.current() == kOld);
  CHECK(choose_program(root.fs, root.layout, kOld) == Choice{});
  CHECK(root.current() == kOld);
}

TEST_CASE("a start that the disk does not take is none") {
  Root root;
  root.switch_over();
  root.fs.fill();
  CHECK(choose_program(root.fs, root.layout).slot == kOld);
  CHECK(root.current() == kOld);
}

TEST_CASE("a record that is damaged, or nobody's, is no trial") {
  Root root;
  root.switch_over();
  for (std::string const text : {"", "x", "0123456789abcdef {}\n"}) {
    root.fs.put(root.layout.boot(), text);
    CHECK_FALSE(load_boot(root.fs, root.layout).value().has_value());
    CHECK(choose_program(root.fs, root.layout).slot == kNew);
  }
}

}  // namespace
}  // namespace fleet::agent
