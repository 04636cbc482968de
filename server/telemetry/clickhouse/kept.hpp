#pragma once

#include "server/telemetry/clickhouse/server.hpp"
#include "server/telemetry/intervals.hpp"

namespace fleet::clickhouse {

/// What a ClickHouse keeps: minutes, whatever their age, which it adds up to the step that is asked for. Each question has a connection of its own.
class Kept final : public telemetry::Intervals {
public:
  Kept(Access access, Clock& clock) : access_(std::move(access)), clock_(clock) {}
  Result<void> each(telemetry::Wanted const& wanted, Take const& take) const override;
  [[nodiscard]] Millis length_at(SysTime, SysTime) const override { return telemetry::kInterval; }

private:
  Access access_;
  Clock& clock_;
};

}  // namespace fleet::clickhouse
