#include "server/telemetry/clickhouse/kept.hpp"

#include "server/telemetry/clickhouse/row_binary.hpp"
#include "server/telemetry/clickhouse/statements.hpp"

#include <limits>

namespace fleet::clickhouse {
namespace {

/// Steps, one series after the other, as whoever asked takes them.
class Giver {
public:
  Giver(telemetry::Wanted const& wanted, telemetry::Intervals::Take const& take) : wanted_(wanted), take_(take) {}

  Result<void> give(Step const& step) {
    FLEET_CHECK(note_source(step));
    if (!covered_) return {};
    telemetry::Sum sum;
    auto const samples = std::min<std::uint64_t>(step.samples, std::numeric_limits<std::int64_t>::max());
    sum.add(static_cast<std::int64_t>(samples), step.total, step.least, step.most);
    if (wanted_.sketches) sum.sketch = stats::Sketch(step.buckets);
    return take_(source_, static_cast<std::int64_t>(step.start_s) * 1'000, sum);
  }

private:
  Result<void> note_source(Step const& step) {
    bool const same =
        source_.n > 0 && step.model == source_.model && step.version == source_.version && step.hardware == source_.hardware && step.labels == labels_;
    if (same) return {};
    FLEET_TRY(auto labels, telemetry::read_labels(step.labels));
    source_ = {source_.n + 1, step.model, step.version, step.hardware, std::move(labels)};
    labels_ = step.labels;
    covered_ = wanted_.covers(source_);
    return {};
  }

  telemetry::Wanted const& wanted_;
  telemetry::Intervals::Take const& take_;
  telemetry::Source source_;
  std::string labels_;
  bool covered_ = false;
};

}  // namespace

Result<void> Kept::each(telemetry::Wanted const& wanted, Take const& take) const {
  FLEET_TRY(auto server, Server::open(access_, clock_));
  Giver giver(wanted, take);
  Reader rows;
  auto const give_whole = [&](BytesView piece) -> Result<void> {
    rows.feed(piece);
    while (true) {
      FLEET_TRY(auto const step, rows.step());
      if (!step) return {};
      FLEET_CHECK(giver.give(*step));
    }
  };
  FLEET_CHECK(server.ask(select_steps(wanted), give_whole));
  return rows.end();
}

}  // namespace fleet::clickhouse
