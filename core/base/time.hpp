#pragma once

#include "core/base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fleet {

using std::chrono::seconds;
using Millis = std::chrono::milliseconds;
/// Wall time, UTC.
using SysTime = std::chrono::sys_time<Millis>;
/// Time since an arbitrary start that never jumps and counts suspended time (CLOCK_BOOTTIME).
using MonoTime = std::chrono::time_point<struct MonoClockTag, Millis>;

/// The clock as it is handed to those that need one. Cores take times as plain values instead.
class Clock {
public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual SysTime wall() const = 0;
  [[nodiscard]] virtual MonoTime mono() const = 0;
};

/// The machine's clock.
[[nodiscard]] Clock& system_clock();

/// A clock that tests set. Not for several threads.
class FakeClock final : public Clock {
public:
  explicit FakeClock(SysTime start) : wall_(start) {}
  [[nodiscard]] SysTime wall() const override { return wall_; }
  [[nodiscard]] MonoTime mono() const override { return mono_; }
  void advance(Millis by) {
    wall_ += by;
    mono_ += by;
  }
  /// Sets the wall clock alone, as an operator or NTP would.
  void set_wall(SysTime to) { wall_ = to; }

private:
  SysTime wall_;
  MonoTime mono_{Millis{1}};
};

/// `2026-11-20T09:30:00Z` (RFC 3339, UTC, whole seconds; milliseconds only where they are not zero and `with_millis`).
[[nodiscard]] std::string to_rfc3339(SysTime at, bool with_millis = false);
/// @errors bad_input
[[nodiscard]] Result<SysTime> parse_rfc3339(std::string_view text);

/// `250ms`, `30s`, `5m`, `6h`, `90d` and sums such as `1h30m`; a bare 0 is allowed.
/// @errors bad_input
[[nodiscard]] Result<Millis> parse_duration(std::string_view text);
/// The shortest exact form `parse_duration` reads.
[[nodiscard]] std::string to_string(Millis duration);

[[nodiscard]] inline std::int64_t to_unix_ms(SysTime at) { return at.time_since_epoch().count(); }
[[nodiscard]] constexpr SysTime from_unix_ms(std::int64_t ms) { return SysTime{Millis{ms}}; }
/// Time of compilation of this program: the lowest floor of trusted time (protocol.md, Time).
[[nodiscard]] SysTime compiled_at();

}  // namespace fleet
