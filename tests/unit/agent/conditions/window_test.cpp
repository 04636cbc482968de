#include "agent/conditions/window.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

SysTime at(std::string_view text) { return parse_rfc3339(text).value(); }

}  // namespace

TEST_CASE("windows in local time, over midnight, on the day they start") {
  wire::Window const night{"Europe/Berlin", {"mon", "fri"}, "22:00", "05:00", "switch"};
  wire::Window const noon{"Europe/Berlin", {}, "12:00", "13:00", "switch"};
  struct Case {
    wire::Window const& window;
    std::string_view at;
    bool inside;
  };
  // 2026-11-20 is a Friday; Berlin is one hour east then.
  for (auto const& [window, when, inside] : std::to_array<Case>({
           {night, "2026-11-20T20:59:59Z", false},
           {night, "2026-11-20T21:00:00Z", true},
           {night, "2026-11-21T03:59:59Z", true},
           {night, "2026-11-21T04:00:00Z", false},
           {night, "2026-11-21T21:30:00Z", false},
           {night, "2026-11-23T03:00:00Z", false},
           {night, "2026-11-23T22:00:00Z", true},
           {noon, "2026-11-22T10:59:59Z", false},
           {noon, "2026-11-22T11:00:00Z", true},
           {noon, "2026-07-22T10:30:00Z", true},
           {noon, "2026-11-22T12:00:00Z", false},
       })) {
    CAPTURE(when);
    auto const got = in_window(system_fs(), window, at(when));
    REQUIRE(got.has_value());
    CHECK(*got == inside);
  }
  CHECK(in_window(system_fs(), {"Europe/Atlantis", {}, "12:00", "13:00", "switch"}, at("2026-07-01T00:00:00Z")).error().code == "unknown_zone");
  for (auto const* wrong : {"1:00", "25:00", "12:60", "ab:cd", ""}) {
    CAPTURE(wrong);
    CHECK_FALSE(in_window(system_fs(), {"Etc/UTC", {}, wrong, "13:00", "switch"}, at("2026-07-01T00:00:00Z")).has_value());
  }
}
