#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"

#include <atomic>
#include <string>

namespace fleet::agent {

/// Trusted time = max(system clock, floor); the floor is the `issued_at` of the directive accepted last, kept on disk, and never below the
/// time of compilation (docs/protocol.md, Time). Devices without a battery-backed clock start in 1970 and must still tell expired from fresh;
/// the floor goes on with the monotonic clock, so that withholding the time does not stop it (uptane-standard #267).
class TrustedClock {
public:
  static TrustedClock load(Fs& fs, Clock& clock, std::string path);
  [[nodiscard]] SysTime now() const;
  /// The system clock is below the floor: certificates' notBefore cannot be judged.
  [[nodiscard]] bool behind() const { return clock_.wall() < floor(); }
  /// What is known without a server's word: max(system clock, time of compilation).
  [[nodiscard]] SysTime unaided() const;
  /// The newest word counts, also where it is earlier: a directive carries this device's nonce, so it was signed after the one before. A time
  /// far in the future, by a thief or a server whose clock was wrong, is thus mended by the next directive (uptane-standard #31).
  /// It counts from now on also where it could not be kept: a restart then begins from an older one. @errors as Fs::replace
  Result<void> set_floor(SysTime issued_at);
  [[nodiscard]] Clock& clock() const { return clock_; }
  TrustedClock(TrustedClock&& other) noexcept
      : fs_(other.fs_), clock_(other.clock_), path_(std::move(other.path_)), floor_at_start_ms_(other.floor_at_start_ms_.load()) {}

private:
  TrustedClock(Fs& fs, Clock& clock, std::string path, SysTime floor) : fs_(fs), clock_(clock), path_(std::move(path)) { start_from(floor); }
  [[nodiscard]] SysTime floor() const { return from_unix_ms(floor_at_start_ms_.load() + clock_.mono().time_since_epoch().count()); }
  void start_from(SysTime floor) { floor_at_start_ms_.store(to_unix_ms(floor) - clock_.mono().time_since_epoch().count()); }
  Fs& fs_;
  Clock& clock_;
  std::string path_;
  std::atomic<std::int64_t> floor_at_start_ms_{0};  ///< the floor when the monotonic clock stood at zero
};

}  // namespace fleet::agent
