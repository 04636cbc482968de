#include "server/rollout/shell/service_clock.hpp"

#include "server/rollout/shell/record.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

/// A fleet that polls each minute, and a server that ticks every second.
struct Served {
  FakeClock clock{fleet::test::kStart};
  ServiceClock service;
  int devices;

  explicit Served(int fleet_devices = 20, Millis base = Millis{0}) : service(clock, base), devices(fleet_devices) {}
  /// So many devices of all poll, each in its own second of the minute.
  void pass(Millis time, int heard) {
    for (Millis at{0}; at < time; at += seconds(1)) {
      auto const second = static_cast<int>(std::chrono::duration_cast<seconds>(clock.mono().time_since_epoch()).count() % 60);
      for (int n = 0; n < heard; ++n)
        if (n * 3 % 60 == second) service.heard(n + 1, {.report = minutes(1), .poll = minutes(1)});
      clock.advance(seconds(1));
      service.tick();
    }
  }
};

}  // namespace

TEST_CASE("service time passes as this server's own time does, from where an earlier process left it") {
  Served fresh;
  CHECK(fresh.service.now() == Millis{0});
  fresh.pass(minutes(5), 20);
  CHECK(fresh.service.now() == minutes(5));
  CHECK_FALSE(fresh.service.stands_still());
  Served later(20, hours(1'000));
  CHECK(later.service.now() == hours(1'000));
  later.pass(minutes(2), 20);
  CHECK(later.service.now() == hours(1'000) + minutes(2));
  CHECK(later.service.voice(1).heard >= hours(1'000));
  CHECK(later.service.voice(99).heard == hours(1'000));  // nobody is silent before this process began
}

TEST_CASE("what a process kept is what the next one goes on from; the time between was none of service") {
  fleet::test::StoreFixture f;
  CHECK(*load_service_time(f.store->reader()) == Millis{0});
  {
    ServiceClock first(f.clock, Millis{0});
    f.clock.advance(minutes(7));
    REQUIRE(f.store->write_wait(store::Lane::verbs, [&](store::Tx& tx) { return save_service_time(tx, first.now()); }));
  }
  f.clock.advance(hours(30));
  ServiceClock const second(f.clock, *load_service_time(f.store->reader()));
  CHECK(second.now() == minutes(7));
  f.clock.advance(seconds(1));
  CHECK(second.now() == minutes(7) + seconds(1));
}

TEST_CASE("the wall clock may step in either direction: nothing changes") {
  Served s;
  s.pass(minutes(3), 20);
  for (auto const step : {hours(24 * 400), -hours(24 * 900)}) {
    auto const before = s.service.now();
    auto const heard = s.service.voice(1).heard;
    s.clock.set_wall(s.clock.wall() + step);
    s.service.tick();
    CHECK(s.service.now() == before);
    CHECK(s.service.voice(1).heard == heard);
    s.pass(minutes(2), 20);
    CHECK(s.service.now() == before + minutes(2));
    CHECK_FALSE(s.service.stands_still());
  }
}

TEST_CASE("it stands still when the fleet's contacts fall below a tenth of what was promised, and not before") {
  struct Case {
    std::string name;
    int devices, heard;
    bool stands_still;
  };
  for (auto const& c : {Case{"all", 20, 20, false}, Case{"half", 20, 10, false}, Case{"a tenth", 20, 2, false}, Case{"one of twenty", 20, 1, true}, Case{"none", 20, 0, true},
                        Case{"of four promised contacts nothing can be said", 4, 0, false}}) {
    CAPTURE(c.name);
    Served s(c.devices);
    s.pass(minutes(5), c.devices);
    s.pass(minutes(2), c.heard);
    CHECK(s.service.stands_still() == c.stands_still);
    auto const stopped = s.service.now();
    if (!c.stands_still) continue;
    CHECK(stopped <= minutes(6) + seconds(10));  // a minute of it was counted at most: less than anything is silent after
    s.pass(hours(30), c.heard);
    CHECK(s.service.now() == stopped);
  }
}

TEST_CASE("after an outage it goes on where it stood; clocks of silence begin anew, and the fleet has time to come back") {
  Served s;
  s.pass(minutes(20), 20);
  CHECK_FALSE(s.service.is_coming_back());  // this process has been up for long enough
  s.pass(hours(5), 0);
  REQUIRE(s.service.stands_still());
  auto const stopped = s.service.now();
  CHECK(s.service.voice(1).heard < stopped);
  s.pass(minutes(2), 10);
  CHECK_FALSE(s.service.stands_still());
  CHECK(s.service.now() > stopped);
  CHECK(s.service.now() <= stopped + minutes(2));
  for (int n : {1, 10, 15, 20}) {  // those that have not come back, too
    CAPTURE(n);
    CHECK(s.service.voice(n).heard >= stopped);
  }
  CHECK(s.service.is_coming_back());
  s.pass(ServiceClock::kComeBack, 10);
  CHECK_FALSE(s.service.is_coming_back());
  CHECK(s.service.voice(1).heard > s.service.voice(20).heard + minutes(10));
}

TEST_CASE("while what devices say cannot be kept no time of service passes, whoever polls; then clocks of silence begin anew") {
  Served served;
  served.pass(minutes(10), 20);
  served.service.serves(true);
  served.service.serves(false);
  served.pass(minutes(20), 20);
  served.service.serves(false);
  CHECK(served.service.stands_still());
  CHECK(served.service.now() == minutes(10));
  served.service.serves(true);
  CHECK_FALSE(served.service.stands_still());
  CHECK(served.service.voice(99).heard == minutes(10));
  CHECK(served.service.is_coming_back());
  served.pass(minutes(3), 20);
  CHECK(served.service.now() == minutes(13));

  // The fleet was away first: that ends by its own rule.
  served.pass(minutes(5), 0);
  REQUIRE(served.service.stands_still());
  auto const stood = served.service.now();
  served.service.serves(false);
  served.service.serves(true);
  CHECK(served.service.stands_still());
  CHECK(served.service.now() == stood);
}

TEST_CASE("outages may follow each other: each is left out") {
  Served s;
  for (int i = 0; i < 3; ++i) {
    s.pass(minutes(10), 20);
    s.pass(hours(1), 0);
    CHECK(s.service.stands_still());
  }
  s.pass(minutes(2), 20);
  CHECK_FALSE(s.service.stands_still());
  CHECK(s.service.now() > minutes(30));
  CHECK(s.service.now() < minutes(40));
}

TEST_CASE("a voice has the longest honest gap that its device told; a report is a word that tells none, of a device that is known") {
  Served s;
  s.service.heard(7, {.report = minutes(5), .poll = minutes(2)});
  CHECK(s.service.voice(7).gap == minutes(5));
  s.clock.advance(minutes(1));
  s.service.heard(7);
  CHECK(s.service.voice(7).heard == minutes(1));
  CHECK(s.service.voice(7).gap == minutes(5));
  s.service.heard(8);
  CHECK(s.service.voice(8).gap == Millis{0});
  s.service.heard(100'000, {});
  CHECK(s.service.voice(100'000).gap == minutes(1));
  s.service.heard(-1, {});
  s.service.heard(INT64_C(1) << 40, {});
  CHECK(s.service.voice(-1).gap == Millis{0});
}

TEST_CASE("devices that poll once a day promise nothing for the minutes between, and none of them is taken for an outage") {
  Served s;
  for (int n = 1; n <= 20; ++n) s.service.heard(n, {.poll = hours(24) - seconds(30)});
  s.pass(hours(3), 0);
  CHECK_FALSE(s.service.stands_still());
  CHECK(s.service.now() == hours(3));
  CHECK(s.service.voice(1).gap == hours(24) - seconds(30));
}
