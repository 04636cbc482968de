#pragma once

#include "server/simulation/scenario.hpp"

#include <cmath>
#include <cstdint>

/// What surrounds virtual devices: networks that come and go, nights, outages of sites and of the server. Times are milliseconds since the start.
namespace fleet::simulation {

/// A small generator for each device, so that what one device meets does not depend on what others did (splitmix64).
/// @source Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014
class Dice {
public:
  Dice() = default;
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  double normal();

private:
  std::uint64_t state_ = 0;
};

/// One device's own.
struct Surroundings {
  Dice dice;
  std::int64_t changes = 0;  ///< when its network comes or goes next
  std::int64_t since = 0;    ///< when it came or went last
  std::int64_t phase = 0;    ///< of its polls
  std::uint32_t site = 0;
  bool online = true;
  bool sleeps = false;       ///< switched off at night
};

class Weather {
public:
  Weather(Scenario const& scenario, std::uint64_t seed);
  [[nodiscard]] Surroundings make(std::uint32_t device) const;
  /// Within reach of the server at `at`, which never falls for one device.
  [[nodiscard]] bool reaches(Surroundings& around, std::int64_t at) const;
  /// When it was heard last, where it does not reach the server at `at`.
  [[nodiscard]] std::int64_t heard(Surroundings& around, std::int64_t at) const;
  /// The first time from `at` on at which it reaches the server.
  [[nodiscard]] std::int64_t back_at(Surroundings around, std::int64_t at) const;
  /// Its next poll from `at` on, if it is in reach then.
  [[nodiscard]] std::int64_t next_poll(Surroundings& around, std::int64_t at) const;
  /// Time of service by `at`: what the server was up and heard devices.
  [[nodiscard]] std::int64_t service(std::int64_t at) const;
  /// What the server's wall clock shows at `at`.
  [[nodiscard]] std::int64_t wall(std::int64_t at) const;
  /// Service time from which silence counts at `at`: its clocks begin anew after an outage.
  [[nodiscard]] std::int64_t silence_from(std::int64_t at) const;
  /// Nobody is offline any more.
  void clear_up() { clear_ = true; }

private:
  void advance(Surroundings& around, std::int64_t at) const;
  [[nodiscard]] bool is_shocked(std::uint32_t site) const;
  [[nodiscard]] bool is_night(Surroundings const& around, std::int64_t at) const;
  [[nodiscard]] bool is_out(std::int64_t at) const { return at >= outage_at_ && at < outage_at_ + outage_; }

  Scenario const* scenario_;
  std::uint64_t seed_;
  std::int64_t shock_at_, shock_, outage_at_, outage_, step_at_;
  double on_ms_, off_ms_;
  bool clear_ = false;
};

}  // namespace fleet::simulation
