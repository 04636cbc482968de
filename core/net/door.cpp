#include "core/net/door.hpp"

#include <algorithm>

namespace fleet::net {
namespace {

std::size_t part_of(std::size_t whole, std::size_t threads) { return std::max<std::size_t>(1, (whole + threads - 1) / threads); }

}  // namespace

DoorLimits DoorLimits::shared_by(std::size_t threads) const {
  auto out = *this;
  out.connections = part_of(connections, threads);
  out.strangers = std::min(part_of(strangers, threads), out.connections);
  out.strangers_an_address = std::min(part_of(strangers_an_address, threads), out.strangers);
  return out;  // which thread an identity's connections come to is chance: each thread allows it all of them
}

Door::Admitted Door::admit(Guest& guest, AddressKey const& address, MonoTime now) {
  Admitted out;
  auto const crowd = by_address_.find(address);
  if (crowd != by_address_.end() && crowd->second.size() >= limits_.strangers_an_address) {
    out.leaves = crowd->second.front();
    if (now - out.leaves->since < limits_.settle) return {};
  } else if (strangers_ >= limits_.strangers) {
    out.leaves = oldest_of_most_crowded();
  }
  out.in = true;
  guest.address = address;
  guest.since = now;
  guest.inside = true;
  guest.known = false;
  auto& strangers = by_address_[address];
  guest.place = strangers.insert(strangers.end(), &guest);
  ++strangers_;
  return out;
}

/// Looks at every address, but only while strangers fill their whole share, and there are at most as many addresses as strangers.
Door::Guest* Door::oldest_of_most_crowded() const {
  auto const most =
      std::max_element(by_address_.begin(), by_address_.end(), [](auto const& a, auto const& b) { return a.second.size() < b.second.size(); });
  return most == by_address_.end() ? nullptr : most->second.front();
}

bool Door::recognise(Guest& guest, Digest const& who) {
  if (guest.known && guest.who == who) return true;
  if (!guest.inside || guest.known || known_ + limits_.strangers >= limits_.connections) return false;
  auto& held = by_identity_[who];
  if (held >= limits_.connections_an_identity) return false;
  ++held;
  ++known_;
  forget_stranger(guest);
  guest.known = true;
  guest.who = who;
  return true;
}

void Door::leave(Guest& guest) {
  if (!std::exchange(guest.inside, false)) return;
  if (!guest.known) return forget_stranger(guest);
  guest.known = false;
  --known_;
  auto const held = by_identity_.find(guest.who);
  if (--held->second == 0) by_identity_.erase(held);
}

void Door::forget_stranger(Guest& guest) {
  auto const crowd = by_address_.find(guest.address);
  crowd->second.erase(guest.place);
  if (crowd->second.empty()) by_address_.erase(crowd);
  --strangers_;
}

}  // namespace fleet::net
