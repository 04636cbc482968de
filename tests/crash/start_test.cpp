#include "agent/commands/boot.hpp"
#include "agent/proof/own_reason.hpp"
#include "agent/slots/slots.hpp"
#include "tests/crash/disk.hpp"

#include <doctest/doctest.h>

#include <cerrno>

namespace fleet::crash {
namespace {

using agent::Choice;

std::string const kOld(64, 'a'), kNew(64, 'b');

/// A root whose agent was switched from `kOld` to `kNew`, and a disk that fails so often at one path.
struct Root {
  Disk disk;
  std::unique_ptr<Fs> fs = make_fs(disk);
  agent::Layout layout{"/agent"};
  agent::Slots slots{*fs, layout};
  std::string failing;
  int left = 0;
  Root() {
    for (auto const& slot : {kOld, kNew}) disk.put(program(slot), slot, 0755);
    disk.make_dirs(layout.state());
    REQUIRE(slots.switch_to("fleet-agent", kOld).has_value());
    REQUIRE(agent::save_boot(*fs, layout, {kNew, kOld, 0, Millis{60'000}}).has_value());
    REQUIRE(slots.switch_to("fleet-agent", kNew).has_value());
    disk.refuse = [this](Call, std::string const& path) { return path.ends_with(failing) && left-- > 0 ? EIO : 0; };
  }
  [[nodiscard]] static std::string program(std::string const& slot) { return "/agent/models/fleet-agent/versions/" + slot + "/fleet-agent"; }
  void fail(std::string path, int times) {
    failing = std::move(path);
    left = times;
  }
  [[nodiscard]] int starts() {
    left = 0;
    return agent::load_boot(*fs, layout).value()->starts;
  }
  /// What it becomes; empty: nothing.
  std::string becomes() {
    std::string out;
    auto const exec = [&](std::string const& path, std::vector<std::string> const&, Millis) { out = out.empty() ? path : out; };
    static_cast<void>(agent::become_chosen(*fs, layout, "/usr/bin/fleet-agent", exec));
    return out;
  }
};

TEST_CASE("who starts the agent asks a disk that fails once a second time, and starts what is on trial, counted") {
  for (auto const* const path : {"/state/boot", "/current", "/lock"}) {
    CAPTURE(path);
    Root root;
    root.fail(path, 1);
    CHECK(root.becomes() == Root::program(kNew));
  }
}

TEST_CASE("a trial that cannot be read is no start of it: the package's program takes its place, and nothing is counted") {
  Root root;
  root.fail("/state/boot", 1'000);
  CHECK(agent::choose_program(*root.fs, root.layout) == Choice{});
  CHECK(root.starts() == 0);
  CHECK(root.slots.current("fleet-agent").value() == kNew);
  CHECK(agent::choose_program(*root.fs, root.layout).slot == kNew);
  CHECK(root.starts() == 1);
}

TEST_CASE("what a self-test says of the disk is no word on the program") {
  CHECK(agent::self_test_exit({Kind::io, "io_error", "identity.json: input/output error"}) == agent::kAgainLater);
  CHECK(agent::self_test_exit({Kind::unavailable, "refused", "nobody answers"}) == 8);
  CHECK(agent::self_test_exit({Kind::corrupt, "journal_unread", "line 3"}) == 1);
}

}  // namespace
}  // namespace fleet::crash
