#pragma once

#include "core/base/time.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <variant>

namespace fleet::blobs {

/// Which devices fetch objects now, where what may leave the server has a bound: as many at once as leave each a share worth having, and more where these
/// cannot take what there is. Who comes beyond is told when to come again, each as much later than the one before as its bytes take of the bound: a fleet
/// that is told at one moment spreads over the time that it needs anyway, and holds no connection meanwhile. A device keeps its turn from object to object.
/// Thread-safe; time is given.
class Turns {
public:
  static constexpr std::uint64_t kShare = 256 * 1024;      ///< bytes a second
  static constexpr std::uint64_t kShareLeast = 64 * 1024;  ///< where the bound is not reached: what a turn holds of memory has an end, too
  static constexpr std::size_t kLeast = 8;                 ///< at once, however little may leave
  static constexpr int kObjects = 8;                   ///< of one device at once: connections share the bound alike, and who opens more of them would have more of it
  static constexpr Millis kFull{5'000};                ///< after which a device with so many asks again
  static constexpr Millis kKept{10'000};               ///< after its last object, while it looks at what came
  static constexpr Millis kLongest = std::chrono::hours{1};

  /// @param egress  bytes a second; 0: no bound, and whoever asks has a turn
  explicit Turns(std::uint64_t egress)
      : egress_(egress), usual_(std::max<std::size_t>(kLeast, egress / kShare)), most_(std::max<std::size_t>(kLeast, egress / kShareLeast)) {}

  /// Lets go of the turn's object once it has been sent, or cannot be.
  using Held = std::shared_ptr<void const>;
  /// @param bytes  that it asks for
  /// @param spare  those who have a turn do not take all that may leave
  /// @returns what to hold while they travel, or after how long to ask again
  [[nodiscard]] std::variant<Held, Millis> take(std::int64_t device_n, std::uint64_t bytes, bool spare, MonoTime now);

  struct Figures {
    std::size_t at_it = 0;         ///< devices that have a turn
    std::uint64_t told_later = 0;  ///< requests that were, since the start
  };
  [[nodiscard]] Figures figures() const;
  [[nodiscard]] std::size_t most() const { return most_; }

private:
  struct Turn {
    int objects = 0;  ///< on their way
    MonoTime kept_until{};
  };
  struct Let;
  [[nodiscard]] bool has_room(std::size_t places, MonoTime now);
  [[nodiscard]] Millis later(std::int64_t device_n, std::uint64_t bytes, MonoTime now);

  std::uint64_t const egress_;
  std::size_t const usual_, most_;
  mutable std::mutex mutex_;
  std::map<std::int64_t, Turn> turns_;  ///< most_ at the most
  MonoTime line_ends_{};                ///< when the last of those who were told to come later is due
  MonoTime swept_{};
  MonoTime now_{};                      ///< of the last call
  std::uint64_t told_later_ = 0;
};

}  // namespace fleet::blobs
