#pragma once

#include "agent/conditions/sensors.hpp"

namespace fleet::agent {

/// What the device itself is like, once each `telemetry.health` where other samples travel, and once a day where none do: a report of its own costs an idle
/// device more than what it tells. Gauges of no release, `agent.load` (a processor),
/// `agent.memory_free_bytes`, `agent.disk_free_bytes`, `agent.temperature_c`, `agent.battery_percent`, `agent.uptime_s`; those that the device can tell.
class Health {
public:
  explicit Health(Context& context) : context_(context), sensors_(context) {}
  void tell();

private:
  Context& context_;
  Sensors sensors_;
  std::optional<MonoTime> told_;
};

}  // namespace fleet::agent
