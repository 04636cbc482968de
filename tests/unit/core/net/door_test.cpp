#include "core/net/door.hpp"

#include <doctest/doctest.h>

#include <deque>

using namespace fleet;
using namespace fleet::net;

namespace {

DoorLimits small() { return {.connections = 10, .strangers = 6, .strangers_an_address = 4, .connections_an_identity = 2, .settle = Millis{2'000}}; }

AddressKey from(std::uint8_t last) {
  AddressKey out;
  out.bytes.back() = last;
  return out;
}
Digest who(std::uint8_t first) {
  Digest out;
  out.bytes.front() = first;
  return out;
}
MonoTime at(int ms) { return MonoTime{Millis{ms}}; }

/// A door, and everybody who ever came to it; who must leave does.
struct House {
  Door door{small()};
  std::deque<Door::Guest> guests;

  Door::Guest* come(std::uint8_t address, int ms) {
    auto& guest = guests.emplace_back();
    auto const admitted = door.admit(guest, from(address), at(ms));
    if (admitted.in && admitted.leaves != nullptr) door.leave(*admitted.leaves);
    return admitted.in ? &guest : nullptr;
  }
};

}  // namespace

TEST_CASE("the oldest stranger of an address makes room for its next one, unless it has only just come") {
  House house;
  for (int i = 0; i < 4; ++i) REQUIRE(house.come(1, i));
  CHECK(house.come(1, 1'999) == nullptr);
  CHECK(house.come(1, 2'000) != nullptr);
  CHECK(!house.guests[0].inside);
  CHECK(house.guests[1].inside);
  CHECK(house.door.strangers() == 4);
}

TEST_CASE("where strangers fill their share, the address that has most of them makes room for another, however young they are") {
  House house;
  for (int i = 0; i < 4; ++i) REQUIRE(house.come(1, i));
  for (std::uint8_t address = 2; address < 40; ++address) CHECK(house.come(address, 5) != nullptr);
  CHECK(house.door.strangers() == 6);
  CHECK(!house.guests[0].inside);
}

TEST_CASE("strangers take nothing from those who are known, and one who is known takes no more than his own") {
  House house;
  auto* const first = house.come(1, 0);
  auto* const second = house.come(1, 0);
  auto* const third = house.come(1, 0);
  CHECK(house.door.recognise(*first, who(1)));
  CHECK(house.door.recognise(*first, who(1)));
  CHECK(house.door.recognise(*second, who(1)));
  CHECK(!house.door.recognise(*third, who(1)));
  CHECK(house.door.known() == 2);
  CHECK(house.door.strangers() == 1);
  for (int i = 0; i < 40; ++i) static_cast<void>(house.come(1, 5'000 * i));
  CHECK(first->inside);
  CHECK(second->inside);
  CHECK(!third->inside);

  SUBCASE("there is room for four known ones beside six strangers") {
    CHECK(house.door.recognise(*house.come(2, 0), who(2)));
    CHECK(house.door.recognise(*house.come(2, 0), who(3)));
    CHECK(!house.door.recognise(*house.come(2, 0), who(4)));
    CHECK(house.door.known() == 4);
  }
  SUBCASE("who leaves makes room") {
    house.door.leave(*first);
    house.door.leave(*first);
    CHECK(house.door.known() == 1);
    CHECK(house.door.recognise(*house.come(2, 0), who(1)));
  }
}

TEST_CASE("threads share the limits, and each has at least one place") {
  auto const part = small().shared_by(4);
  CHECK(part.connections == 3);
  CHECK(part.strangers == 2);
  CHECK(part.strangers_an_address == 1);
  CHECK(part.connections_an_identity == 2);
  CHECK(small().shared_by(100).connections == 1);
}
