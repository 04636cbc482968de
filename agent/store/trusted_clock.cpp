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

SysTime TrustedClock::unaided() const { return std::max(clock_.wall(), compiled_at()); }

Result<void> TrustedClock::set_floor(SysTime issued_at) {
  auto const at = std::max(issued_at, compiled_at());
  // Hours are enough, and spare the flash.
  constexpr std::chrono::hours kGrain{1};
  if (at < floor() + kGrain && at + kGrain > floor()) return {};
  start_from(at);
  return fs_.replace(path_, to_rfc3339(at));
}

}  // namespace fleet::agent
