#include "agent/conditions/health.hpp"

namespace fleet::agent {

void Health::tell() {
  auto const every = context_.config.telemetry_health;
  auto const now = context_.clock.mono();
  if (every <= Millis{0} || now < next_) return;
  next_ = now + every;
  auto const put = [&](char const* name, auto const& reading) {
    if (reading) context_.collector.tell({}, {}, name, static_cast<double>(*reading));
  };
  put("agent.load", sensors_.load());
  put("agent.memory_free_bytes", sensors_.memory_free());
  put("agent.disk_free_bytes", sensors_.disk_free());
  put("agent.temperature_c", sensors_.temperature());
  put("agent.battery_percent", sensors_.battery());
  put("agent.uptime_s", sensors_.uptime());
}

}  // namespace fleet::agent
