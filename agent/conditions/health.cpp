#include "agent/conditions/health.hpp"

namespace fleet::agent {

void Health::tell() {
  auto const every = context_.config.telemetry_health;
  auto const now = context_.clock.mono();
  if (every <= Millis{0} || now < next_) return;
  next_ = now + every;
  struct Reading {
    std::string_view name;
    std::optional<double> value;
  };
  for (auto const& [name, value] : {Reading{"load", sensors_.load()}, Reading{"memory_free_bytes", sensors_.memory_free()}, Reading{"disk_free_bytes", sensors_.disk_free()},
                                    Reading{"temperature_c", sensors_.temperature()}, Reading{"battery_percent", sensors_.battery()}, Reading{"uptime_s", sensors_.uptime()}})
    if (value) context_.collector.tell({}, {}, "agent." + std::string(name), *value);
}

}  // namespace fleet::agent
