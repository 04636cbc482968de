#include "core/base/zone.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;

namespace {

SysTime at(std::string_view text) { return parse_rfc3339(text).value(); }

struct Case {
  std::string name;
  std::string_view at;
  int minutes_east;
};

// What cctz and Python's zoneinfo say, on both sides of a change, in the table of a file and in the rule behind it.
constexpr auto kNow = "2026-07-01T00:00:00Z";
auto const kCases = std::to_array<Case>({
    {"UTC", kNow, 0},
    {"Etc/GMT+2", kNow, -120},
    {"Europe/Berlin", "2026-01-15T12:00:00Z", 60},
    {"Europe/Berlin", "2026-03-29T00:59:59Z", 60},
    {"Europe/Berlin", "2026-03-29T01:00:00Z", 120},
    {"Europe/Berlin", "2026-10-25T00:59:59Z", 120},
    {"Europe/Berlin", "2026-10-25T01:00:00Z", 60},
    {"Europe/Berlin", "2061-03-27T00:59:59Z", 60},
    {"Europe/Berlin", "2061-03-27T01:00:00Z", 120},
    {"Europe/Berlin", "2061-10-30T00:59:59Z", 120},
    {"Europe/Berlin", "2061-10-30T01:00:00Z", 60},
    {"America/New_York", "2099-07-01T00:00:00Z", -240},
    {"America/New_York", "2099-12-31T23:59:59Z", -300},
    {"Australia/Lord_Howe", "2050-01-01T00:00:00Z", 660},
    {"Australia/Lord_Howe", "2050-07-01T00:00:00Z", 630},
    {"Europe/Dublin", "2050-01-01T00:00:00Z", 0},
    {"Europe/Dublin", "2050-07-01T00:00:00Z", 60},
    {"Asia/Tokyo", "2050-07-01T00:00:00Z", 540},
    {"Asia/Kolkata", kNow, 330},
    {"Pacific/Kiritimati", kNow, 840},
});

/// A file as zic -b slim makes them: a rule, and no more transitions than it cannot say.
std::string slim(std::string const& footer) {
  auto const header = [](int types) {
    std::string out = "TZif2" + std::string(15, '\0');
    for (int const n : {0, 0, 0, 0, types, types == 0 ? 0 : 4}) out += std::string(3, '\0') + static_cast<char>(n);
    return out;
  };
  return header(0) + header(1) + std::string(6, '\0') + std::string("LMT\0", 4) + "\n" + footer + "\n";
}

}  // namespace

TEST_CASE("offsets of the machine's zones, before and after what their files list") {
  for (auto const& [name, when, minutes] : kCases) {
    CAPTURE(name);
    CAPTURE(when);
    auto const zone = Zone::load(system_fs(), name);
    REQUIRE(zone.has_value());
    CHECK(zone->offset_at(at(when)) == minutes * 60);
  }
}

TEST_CASE("a slim file is its rule: weekdays, days with and without 29 February, hours of other days, summer all year") {
  struct Rule {
    std::string footer;
    std::string_view at;
    int minutes_east;
  };
  for (auto const& [footer, when, minutes] : std::to_array<Rule>({
           {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01T00:00:00Z", 120},
           {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-12-01T00:00:00Z", 60},
           {"<+0530>-5:30", "2026-12-01T00:00:00Z", 330},
           {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T00:59:59Z", -120},
           {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T01:00:00Z", -60},
           {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2050-03-25T23:59:59Z", 120},
           {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2050-03-26T00:00:00Z", 180},
           {"AAA3BBB,J60/0,J300/0", "2028-02-29T12:00:00Z", -180},
           {"AAA3BBB,J60/0,J300/0", "2028-03-01T12:00:00Z", -120},
           {"AAA3BBB,59/0,300/0", "2028-02-29T12:00:00Z", -120},
           {"AAA3BBB,59/0,300/0", "2027-02-28T12:00:00Z", -180},
           {"EST5EDT,0/0,J365/25", "2050-01-01T04:59:59Z", -240},
           {"EST5EDT,0/0,J365/25", "2050-12-31T23:00:00Z", -240},
           {"IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01T00:00:00Z", 0},
           {"", "2050-01-01T00:00:00Z", 0},
       })) {
    CAPTURE(footer);
    CAPTURE(when);
    auto const zone = Zone::parse(slim(footer), "Test/Zone");
    REQUIRE(zone.has_value());
    CHECK(zone->offset_at(at(when)) == minutes * 60);
  }
}

TEST_CASE("rules that are none") {
  for (auto const* footer : {"C-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
                             "CET-1CEST,J0,J10", "CET-1CEST,366,10", "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0,", "<CET-1", "CET-25"}) {
    CAPTURE(footer);
    CHECK_FALSE(Zone::parse(slim(footer), "Test/Zone").has_value());
  }
}

TEST_CASE("what is no zone's name is refused, and a file that was cut never read past its end") {
  for (auto const* name : {"Europe/Berln", "Berlin", "UTC+2", "local", "localtime", "posixrules", "right/UTC", "posix/UTC", "Factory", "tzdata.zi",
                           "../../etc/passwd", "/etc/passwd", "", "Europe", "europe/berlin", "Europe/Berlin "}) {
    CAPTURE(name);
    auto const zone = Zone::load(system_fs(), name);
    REQUIRE_FALSE(zone.has_value());
    CHECK(zone.error().code == "unknown_zone");
  }
  auto const whole = system_fs().read("/usr/share/zoneinfo/Europe/Berlin", 1 << 20).value();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) CHECK_FALSE(Zone::parse(std::string_view(whole).substr(0, cut), "Europe/Berlin").has_value());
}
