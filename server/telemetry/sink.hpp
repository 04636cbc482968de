#pragma once

#include "server/telemetry/intervals.hpp"
#include "server/telemetry/outbox.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace fleet::telemetry {

/// How it goes with a sink.
struct SinkFigures {
  std::uint64_t rows_sent = 0;  ///< of the outbox, since the start, as all that follows
  std::uint64_t failures = 0;   ///< of batches
  std::uint64_t held = 0;       ///< reports whose samples found the outbox full, and stayed with their devices
  SysTime last_success{};       ///< zero: there was none yet
  std::string failing = {};     ///< what the last batch failed with; empty: it did not
};

/// Keeps samples in place of the database's own tables: the outbox is drained into it, and it answers what is asked about them.
class Sink {
public:
  virtual ~Sink() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Rows that may wait for it in the outbox.
  [[nodiscard]] virtual std::int64_t waiting_max() const = 0;
  /// One for each question.
  [[nodiscard]] virtual std::unique_ptr<Intervals> intervals() const = 0;
  [[nodiscard]] virtual SinkFigures figures() const = 0;
  /// A report's samples had to stay with their device.
  virtual void note_held() = 0;
};

/// ok, `behind` (the last batch failed, or samples wait for a minute), `full` (what devices measure stays with them).
[[nodiscard]] std::string_view state_of(SinkFigures const& figures, Waiting const& waiting, std::int64_t waiting_max, SysTime now);

}  // namespace fleet::telemetry
