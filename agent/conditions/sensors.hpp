#pragma once

#include "agent/context.hpp"

#include <cstdint>
#include <optional>

namespace fleet::agent {

/// What the device can tell of itself, read anew at each question. Nothing: it has no such source, or none that can be read now.
class Sensors {
public:
  explicit Sensors(Context const& context) : context_(context) {}
  /// Percent.
  [[nodiscard]] std::optional<int> battery() const;
  /// Power comes from outside.
  [[nodiscard]] std::optional<bool> is_charging() const;
  /// Degrees Celsius, of the hottest zone where the owner names none.
  [[nodiscard]] std::optional<double> temperature() const;
  /// Average over a minute of what runs or wants to, divided by the processors: 1 is a machine that is busy.
  [[nodiscard]] std::optional<double> load() const;
  /// Bytes that programs can have without swapping.
  [[nodiscard]] std::optional<std::uint64_t> memory_free() const;
  /// Seconds since it was started.
  [[nodiscard]] std::optional<double> uptime() const;
  /// Bytes on the file system of the agent's root.
  [[nodiscard]] std::optional<std::uint64_t> disk_free() const;

private:
  Context const& context_;
};

}  // namespace fleet::agent
