#include "server/telemetry/sink.hpp"

namespace fleet::telemetry {
namespace {

constexpr std::chrono::minutes kInTime{1};

}  // namespace

std::string_view state_of(SinkFigures const& figures, Waiting const& waiting, std::int64_t waiting_max, SysTime now) {
  if (waiting.rows >= waiting_max) return "full";
  bool const late = waiting.rows > 0 && now - waiting.oldest > kInTime;
  return late || !figures.failing.empty() ? "behind" : "ok";
}

}  // namespace fleet::telemetry
