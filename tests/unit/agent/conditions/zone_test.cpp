#include "agent/conditions/zone.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

SysTime at(std::string_view text) { return parse_rfc3339(text).value(); }

}  // namespace

TEST_CASE("offsets of IANA zones, on both sides of a change") {
  struct Case {
    std::string zone;
    std::string_view at;
    int hours_east;
  };
  for (auto const& [zone, when, hours] : std::to_array<Case>({
           {"Etc/UTC", "2026-07-01T00:00:00Z", 0},
           {"Europe/Berlin", "2026-01-15T12:00:00Z", 1},
           {"Europe/Berlin", "2026-03-29T00:59:59Z", 1},
           {"Europe/Berlin", "2026-03-29T01:00:00Z", 2},
           {"Europe/Berlin", "2026-10-25T00:59:59Z", 2},
           {"Europe/Berlin", "2026-10-25T01:00:00Z", 1},
           {"America/New_York", "2026-07-01T00:00:00Z", -4},
           {"Asia/Tokyo", "2026-07-01T00:00:00Z", 9},
           {"Pacific/Kiritimati", "2026-07-01T00:00:00Z", 14},
       })) {
    CAPTURE(zone);
    CAPTURE(when);
    auto const offset = utc_offset(system_fs(), zone, at(when));
    REQUIRE(offset.has_value());
    CHECK(*offset == hours * 3600);
  }
}

TEST_CASE("zones that do not exist, leave the folder or are damaged are refused") {
  for (auto const* zone : {"Europe/Atlantis", "../../etc/passwd", "/etc/passwd", "", "Europe"}) {
    CAPTURE(zone);
    CHECK_FALSE(utc_offset(system_fs(), zone, at("2026-07-01T00:00:00Z")).has_value());
  }
  auto const whole = system_fs().read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20).value();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    CrashFs fs;
    fs.put("/usr/share/zoneinfo/Europe/Berlin", whole.substr(0, cut));
    static_cast<void>(utc_offset(fs, "Europe/Berlin", at("2026-07-01T00:00:00Z")));
  }
}

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
  for (auto const* wrong : {"1:00", "25:00", "12:60", "ab:cd", ""}) {
    CAPTURE(wrong);
    CHECK_FALSE(in_window(system_fs(), {"Etc/UTC", {}, wrong, "13:00", "switch"}, at("2026-07-01T00:00:00Z")).has_value());
  }
}
