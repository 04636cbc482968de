#include "agent/store/trusted_clock.hpp"

#include <algorithm>

namespace fleet::agent {

TrustedClock TrustedClock::load(Fs& fs, Clock& clock, std::string path) {
  auto floor = compiled_at();
  // A damaged floor only makes it lower: never below the time of compilation.
  if (auto const text = fs.read(path, 64))
    if (auto const kept = parse_rfc3339(*text)) floor = std::max(floor, *kept);
  return {fs, clock, std::move(path), floor};
}

SysTime TrustedClock::now() const { return std::max(clock_.wall(), floor()); }

Result<void> TrustedClock::raise(SysTime issued_at, SysTime never_beyond) {
  auto const at = std::min(issued_at, never_beyond);
  // Hours are enough, and spare the flash.
  if (at < floor() + std::chrono::hours{1}) return {};
  FLEET_CHECK(fs_.replace(path_, to_rfc3339(at)));
  floor_ms_.store(to_unix_ms(at));
  return {};
}

}  // namespace fleet::agent
