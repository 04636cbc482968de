#pragma once

#include "core/base/time.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet::agent {

/// What metrics' values are, by their names.
using MetricRules = std::map<std::string, wire::MetricSchema, std::less<>>;

/// What holds of one metric here: its declaration without what only people read.
struct MetricRule {
  std::optional<wire::MetricSchema::Range> range = {};
  Millis varies{0}, every{0};
  bool local = false;
};

/// What the device's owner says of metrics, of whatever release they are (agent.yaml: sensors, telemetry.send).
struct OwnerRules {
  MetricRules sensors = {};
  std::vector<std::string> send = {};  ///< what may leave the device, by name or `prefix*`; empty: all

  /// What holds of a metric that its release declares so: what the owner says stands above it, and what either keeps on the device stays there.
  /// @param declared  null: it says nothing
  [[nodiscard]] MetricRule over(std::string_view name, wire::MetricSchema const* declared) const;
};

/// Whether a metric's samples are worth counting, one after the other, by what its values are declared to be.
class Quality {
public:
  /// Samples of one value after which it may be stuck.
  static constexpr int kSameMin = 5;

  [[nodiscard]] MetricRule const& rule() const { return rule_; }
  void set_rule(MetricRule const& rule) { rule_ = rule; }

  /// @param value  what it is: of a gauge what it becomes
  enum class Verdict {
    good,
    flagged,  ///< counted in `flagged`
    held,     ///< the same value again: `release` gives it back, with those before it, once another one came
  };
  [[nodiscard]] Verdict judge(double value, double weight, MonoTime now);
  /// Samples that were held and turned out good, as one: of `value`, weighing as much as all of them.
  struct Held {
    double value = 0, weight = 0;
  };
  [[nodiscard]] std::optional<Held> release() { return std::exchange(good_, std::nullopt); }
  /// Where nothing came for so long that nobody can say that it is stuck, what is held is good.
  void rest(MonoTime heard, MonoTime now);

  wire::Flagged flagged = {};  ///< of this interval

private:
  MetricRule rule_;
  double last_ = 0, held_ = 0;  ///< the value, and the weight of its samples that are held
  int same_ = 0;
  MonoTime since_{};
  std::optional<Held> good_;
};

}  // namespace fleet::agent
