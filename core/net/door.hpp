#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "core/net/address_range.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <optional>

namespace fleet::net {

class Connection;

/// How many connections a listener keeps. Who has not shown yet that the program knows him is a stranger: strangers have a share of their own, so that
/// however many come, the rest stays for those who are known; and one of those, too, gets only so much of it.
struct DoorLimits {
  std::size_t connections = 16'000;          ///< all of them
  std::size_t strangers = 4'096;             ///< of these, who are not known (yet)
  std::size_t strangers_an_address = 1'024;   ///< a whole fleet may come from one address, each device a stranger for its first round trips
  std::size_t connections_an_identity = 64;  ///< known as one device or one token; what is more is treated as a stranger's
  Millis settle{2'000};                      ///< a younger stranger is not shown out for another one of its address: it may be about to be known
  /// The part of one of `threads` io threads.
  [[nodiscard]] DoorLimits shared_by(std::size_t threads) const;
};

/// Who of one listener is inside, on one io thread: pure bookkeeping.
/// A full share does not shut the door on the next one: the oldest stranger of the address that has too many leaves, so that whoever holds connections
/// without a word loses them to whoever comes to say one.
class Door {
public:
  /// One connection's place. Whoever owns it gives it back by `leave`.
  struct Guest {
    Connection* connection = nullptr;  ///< whose place it is; the door never looks at it
    AddressKey address{};
    MonoTime since{};
    bool inside = false;
    bool known = false;
    Digest who{};                         ///< where known
    std::list<Guest*>::iterator place{};  ///< among the strangers of its address
  };

  explicit Door(DoorLimits limits) : limits_(limits) {}

  struct Admitted {
    bool in = false;
    Guest* leaves = nullptr;  ///< a stranger that must be closed (and leaves) for it
  };
  /// A stranger comes.
  [[nodiscard]] Admitted admit(Guest& guest, AddressKey const& address, MonoTime now);
  /// The guest is `who`. False while there is no room for more known ones, or for more of this one: it stays a stranger.
  bool recognise(Guest& guest, Digest const& who);
  void leave(Guest& guest);

  [[nodiscard]] std::size_t strangers() const { return strangers_; }
  [[nodiscard]] std::size_t known() const { return known_; }

private:
  using Strangers = std::list<Guest*>;  ///< oldest first
  void forget_stranger(Guest& guest);
  [[nodiscard]] Guest* oldest_of_most_crowded() const;

  DoorLimits limits_;
  std::map<AddressKey, Strangers> by_address_;
  std::map<Digest, std::size_t> by_identity_;
  std::size_t strangers_ = 0;
  std::size_t known_ = 0;
};

}  // namespace fleet::net
