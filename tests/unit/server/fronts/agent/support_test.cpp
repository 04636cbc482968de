#include "server/delivery/support.hpp"

#include "tests/unit/server/fronts/agent/house.hpp"

using namespace fleet;
using namespace fleet::fronts::test;

namespace {

delivery::Support ask(House& house, std::string const& id, bool metered = false, std::int64_t device_n = 1) {
  auto const job = [&](store::Tx& tx) {
    return delivery::ask_support(tx, device_n, "cam-" + std::to_string(device_n), id, metered, {house.clock.wall(), "token:ada"});
  };
  auto const asked = house.store->write_value<delivery::Support>(store::Lane::verbs, job);
  REQUIRE(asked.has_value());
  return *asked;
}

/// The device's report with one bulk item, through the door that reports come by.
void send(House& house, std::int64_t sequence, std::string const& id, std::string const& content) {
  wire::Report report;
  wire::ReportItem item;
  item.sequence = sequence;
  item.support = wire::SupportItem{house.clock.wall(), id, content};
  report.items[wire::Tier::bulk] = {std::move(item)};
  auto const decoded = wire::decode_report(wire::encode(report));
  REQUIRE(decoded.has_value());
  auto const job = [&](store::Tx& tx) { return fronts::take_report(tx, house.engine, 1, *decoded, house.clock.wall()); };
  auto const answer = house.store->write_value<wire::ReportAnswer>(store::Lane::devices, job);
  REQUIRE(answer.has_value());
  CHECK(answer->acked[wire::Tier::bulk] == sequence);
}

std::string kept(House& house) { return delivery::load_support_content(house.store->reader(), 1).value(); }

}  // namespace

TEST_CASE("a device is asked for its support bundle by its directive, and no more once it has answered") {
  House house;
  house.engine.say("reader", "2.0.0");
  auto const first = house.directive_of(*house.send_through_write(House::request(1)));
  CHECK_FALSE(first.collect.has_value());
  CHECK(ask(house, "sup_1").id == "sup_1");
  CHECK(ask(house, "sup_2").id == "sup_1");  // who waits is not asked twice
  auto const asked = house.directive_of(*house.send_through_write(House::request(2, first.sequence)));
  CHECK(asked.sequence > first.sequence);
  CHECK(asked.targets == first.targets);
  REQUIRE(asked.collect.has_value());
  CHECK(*asked.collect == wire::CollectOrder{"sup_1", false});
  CHECK(ask(house, "sup_3", true).id == "sup_3");  // over a metered link, too: another order
  auto const again = house.directive_of(*house.send_through_write(House::request(3, asked.sequence)));
  CHECK(*again.collect == wire::CollectOrder{"sup_3", true});

  send(house, 1, "sup_1", "a late answer to the order before");
  CHECK(kept(house).empty());
  send(house, 2, "sup_3", "tar");
  CHECK(kept(house) == "tar");
  auto const support = delivery::load_support(house.store->reader(), 1).value();
  REQUIRE(support.has_value());
  CHECK(support->is_received());
  CHECK(support->size == 3);
  CHECK(house.read("SELECT count(*) FROM audit WHERE action = 'device.support_received' AND actor = 'device:cam-1'") == "1");
  CHECK(house.read("SELECT count(*) FROM audit WHERE action = 'device.support_asked'") == "2");
  auto const after = house.directive_of(*house.send_through_write(House::request(4, again.sequence)));
  CHECK_FALSE(after.collect.has_value());
}

TEST_CASE("a device fills nothing that nobody asked for") {
  House house;
  send(house, 1, "sup_1", "unasked");
  CHECK(house.read("SELECT count(*) FROM support_bundles") == "0");
  ask(house, "sup_1");
  send(house, 2, "sup_1", "first");
  send(house, 3, "sup_1", "a second answer to one order");
  CHECK(kept(house) == "first");
  wire::Report report;
  wire::ReportItem item;
  item.sequence = 4;
  item.support = wire::SupportItem{house.clock.wall(), "sup_1", std::string(wire::kSupportBytesMax + 3, 'x')};
  report.items[wire::Tier::bulk] = {std::move(item)};
  CHECK_FALSE(wire::decode_report(wire::encode(report)).has_value());
}

TEST_CASE("all support bundles together have a bound, and the oldest go first") {
  House house;
  house.write(
      "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (2, 'cam-2', 'cam-a', 'active', x'02', 1, 0),"
      "(3, 'cam-3', 'cam-a', 'active', x'03', 1, 0)");
  auto const take = [&](std::int64_t n) {
    auto const id = "sup_" + std::to_string(n);
    ask(house, id, false, n);
    auto const job = [&](store::Tx& tx) { return delivery::take_support(tx, n, "cam-" + std::to_string(n), {{}, id, std::string(40, 'x')}, house.clock.wall(), 100); };
    REQUIRE(house.store->write_wait(store::Lane::devices, job).has_value());
    house.clock.advance(Millis{1000});
  };
  take(2);
  take(1);
  take(3);
  CHECK(house.read("SELECT group_concat(device) FROM (SELECT device FROM support_bundles ORDER BY device)") == "1,3");
}
