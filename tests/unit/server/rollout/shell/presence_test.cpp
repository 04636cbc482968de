#include "server/rollout/shell/presence.hpp"

#include "server/rollout/shell/service_clock.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::test;
using std::chrono::hours;
using std::chrono::minutes;

TEST_CASE("absences that end are counted once, and an outage of the server is none") {
  FakeClock clock{kStart};
  ServiceClock service{clock, Millis{0}};
  Habits const habits{.report = minutes(1), .poll = minutes(1)};
  auto const pass = [&](Millis time) { clock.advance(time); };
  service.heard(1, habits);
  pass(minutes(1));
  service.heard(1, habits);
  CHECK(service.take_returned() == 0);
  pass(hours(3));
  service.heard(1, habits);
  service.heard(1, habits);
  CHECK(service.take_returned() == 1);
  CHECK(service.take_returned() == 0);
  service.heard(2, habits);  // of a new process nobody knows since when it was away
  CHECK(service.take_returned() == 0);
}

TEST_CASE("the fleet's hours and attempts are read as they were kept, and no further back than 30 days") {
  fleet::rollout::test::RolloutFixture f;
  f.add_devices(40, "cam-a");
  auto const now = f.clock.wall();
  REQUIRE(f.store->write_wait(store::Lane::upkeep, [&](store::Tx& tx) {
    return tx.prepare({"test.heard", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) SELECT n, ?1, 900, 60 FROM devices WHERE true "
                                     "ON CONFLICT (device) DO UPDATE SET seen_at = ?1"})
        .bind_all(to_unix_ms(now))
        .run();
  }));
  auto const in = [&](hours time) { return now + time; };
  auto const look = [&](SysTime at) {
    auto const row = *look_around(f.store->reader(), 3, at);
    REQUIRE(f.store->write_wait(store::Lane::upkeep, [&](store::Tx& tx) { return keep_hour(tx, row); }));
    return row;
  };
  CHECK(look(now).away == 0);
  CHECK(*has_looked(f.store->reader(), now));
  CHECK_FALSE(*has_looked(f.store->reader(), in(hours(1))));
  CHECK(look(in(hours(2))).away == 40);
  auto const past = *load_past(f.store->reader(), in(hours(2)));
  REQUIRE(past.hours.size() == 2);
  CHECK(past.hours[0].devices == 40);
  CHECK(past.hours[1].returned == 3);
  CHECK(past.devices == 40);
  CHECK(past.poll_every_s > 0);
  look(in(hours(24 * 31)));
  CHECK(load_past(f.store->reader(), in(hours(24 * 31)))->hours.size() == 1);
}
