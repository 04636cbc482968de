#pragma once

#include "core/stats/sketch.hpp"
#include "core/wire/device.hpp"
#include "server/registry/selector.hpp"
#include "server/store/db/db.hpp"
#include "server/telemetry/ages.hpp"

#include <functional>
#include <string>
#include <vector>

namespace fleet::telemetry {

/// Whose samples a series has.
struct Source {
  std::int64_t n = 0;
  std::string model, version, hardware;
  wire::Labels labels;  ///< of those that were kept apart when it came
};

/// Samples added up.
struct Sum {
  std::int64_t count = 0;
  std::int64_t flagged = 0;  ///< samples beside them, that count for nothing else
  double sum = 0, min = 0, max = 0;
  stats::Sketch sketch;  ///< empty: of a counter, a gauge or a set
  void add(std::int64_t more, double sum_of_more, double least, double most);
};

/// What of a metric is asked for.
struct Wanted {
  std::string metric;
  std::string model, version;  ///< empty: all
  SysTime since{};
  registry::Selector selector = {};  ///< over hardware and labels
  bool sketches = false;             ///< they are most of what is read
  std::vector<std::string> known = {};  ///< labels that a series must have: of one without nobody knows whose samples it sums up
  Millis step = kInterval;           ///< intervals of one step may be given as one
  [[nodiscard]] bool covers(Source const& source) const;
};
/// As a series keeps them: JSON. @errors corrupt
[[nodiscard]] Result<wire::Labels> read_labels(std::string_view json);

/// Kept intervals, wherever they are.
class Intervals {
public:
  /// @param start  of the interval, ms
  using Take = std::function<Result<void>(Source const&, std::int64_t start, Sum const&)>;
  virtual ~Intervals() = default;
  /// Calls `take` with each one of the series that are wanted: one series after the other, each in the order of time.
  virtual Result<void> each(Wanted const& wanted, Take const& take) const = 0;
  /// How long the interval is that samples of the time `at` are kept in.
  [[nodiscard]] virtual Millis length_at(SysTime at, SysTime now) const = 0;
};
/// Those of the database's own tables.
class OwnIntervals final : public Intervals {
public:
  explicit OwnIntervals(db::Connection& reader) : reader_(reader) {}
  Result<void> each(Wanted const& wanted, Take const& take) const override;
  [[nodiscard]] Millis length_at(SysTime at, SysTime now) const override { return interval_at(at, now); }

private:
  db::Connection& reader_;
};

}  // namespace fleet::telemetry
