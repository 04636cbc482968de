#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace fleet {

/// Where random bytes come from. Passed in, so that a simulation replays from its seed.
class Random {
public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
  [[nodiscard]] std::uint64_t next();
  /// Uniform in [0, 1).
  [[nodiscard]] double uniform();
};

/// The kernel's generator (getrandom(2)); usable from several threads.
[[nodiscard]] Random& system_random();

/// xoshiro256** from a seed: for simulations and tests, never for secrets.
class SeededRandom final : public Random {
public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(std::span<std::uint8_t> out) override;

private:
  std::array<std::uint64_t, 4> state_{};
};

/// `prefix` and 26 characters of Crockford's base 32: 48 bits of Unix milliseconds, 80 random bits; sorts by time (ULID).
[[nodiscard]] std::string make_ulid(std::string_view prefix, std::int64_t unix_ms, Random& random);

}  // namespace fleet
