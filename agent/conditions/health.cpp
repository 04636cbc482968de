#include "agent/conditions/health.hpp"

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kAlone = std::chrono::hours{24};

}  // namespace

void Health::tell() {
  auto const every = context_.config.telemetry_health;
  auto const now = context_.clock.mono();
  auto const pause = context_.collector.has_samples() ? every : std::max(every, kAlone);
  if (every <= Millis{0} || (told_ && now < *told_ + pause)) return;
  told_ = now;
  struct Reading {
    std::string_view name;
    std::optional<double> value;
  };
  for (auto const& [name, value] : {Reading{"load", sensors_.load()}, Reading{"memory_free_bytes", sensors_.memory_free()}, Reading{"disk_free_bytes", sensors_.disk_free()},
                                    Reading{"temperature_c", sensors_.temperature()}, Reading{"battery_percent", sensors_.battery()}, Reading{"uptime_s", sensors_.uptime()}})
    if (value) context_.collector.tell({}, {}, "agent." + std::string(name), *value);
}

}  // namespace fleet::agent
