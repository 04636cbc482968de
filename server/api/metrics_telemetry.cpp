#include "server/api/metrics_telemetry.hpp"

namespace fleet::api {

Result<void> add_telemetry(db::Connection& reader, telemetry::Sink const* sink, SysTime now, Exposition& out) {
  FLEET_TRY(auto const waiting, telemetry::load_waiting(reader));
  auto const figures = sink == nullptr ? telemetry::SinkFigures{} : sink->figures();
  auto const oldest = waiting.rows == 0 ? seconds{0} : std::chrono::floor<seconds>(std::max(Millis{0}, now - waiting.oldest));
  out.single("fleet_telemetry_sink_waiting_rows", "What devices measured and waits in the database for the place that keeps it.", waiting.rows);
  out.single("fleet_telemetry_sink_waiting_max_rows", "So much may: what is beyond stays with devices. 0: the database itself keeps what they measure.",
             sink == nullptr ? 0 : sink->waiting_max());
  out.single("fleet_telemetry_sink_oldest_seconds", "For how long the oldest of it waits.", oldest.count());
  out.single("fleet_telemetry_sink_sent_rows_total", "Rows that were sent.", figures.rows_sent);
  out.single("fleet_telemetry_sink_failures_total", "Batches that failed; each is sent again.", figures.failures);
  out.single("fleet_telemetry_sink_held_reports_total", "Reports whose samples found no room and stayed with their devices.", figures.held);
  out.family("fleet_telemetry_sink_last_success_timestamp_seconds", "When the place that keeps it last took something, or said that it is well.");
  if (figures.last_success != SysTime{}) out.add({}, to_unix_ms(figures.last_success) / 1'000);
  return {};
}

}  // namespace fleet::api
