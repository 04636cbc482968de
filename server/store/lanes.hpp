#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace fleet::store {

class Tx;
using Job = std::function<Result<void>(Tx&)>;
using Done = std::function<void(Result<void>)>;

/// What jobs that are alike have in common: what they read of rows that each has for itself is read for many of them at once.
class Fold {
public:
  virtual ~Fold() = default;
  /// Reads what the jobs of `keys` need, in their transaction and before the first of them; what it had read for others is past.
  virtual Result<void> load(Tx& tx, std::span<std::int64_t const> keys) = 0;
};

/// Who writes, in the order in which they are served: what a person or a verdict decides never waits behind what a whole fleet tells.
enum class Lane : std::uint8_t {
  verbs,      ///< people, CI, verdicts
  devices,    ///< what single devices need an answer to: polls, enrolment, renewal
  telemetry,  ///< reports
  upkeep,     ///< what the clock asks for; in pieces
};
inline constexpr std::size_t kLanes = 4;

struct LaneRules {
  std::string_view name;
  std::size_t waiting_max;  ///< more are refused
  Millis until;             ///< while its group is younger, the lane may add to it; past that, one job a group
};
inline constexpr std::array<LaneRules, kLanes> kLaneRules{{
    {"verbs", 1'000, Millis{40}},
    {"devices", 10'000, Millis{15}},
    {"telemetry", 1'000, Millis{25}},
    {"upkeep", 100, Millis{0}},
}};

/// What waits to be written: a bounded queue a lane. Pure; the writer guards it.
class Lanes {
public:
  struct Item {
    Job job;
    Done done;
    std::shared_ptr<Fold> fold = {};
    std::int64_t key = 0;  ///< of a fold's: whose rows it reads and writes
  };
  static constexpr std::size_t kFoldMax = 64;  ///< jobs: a verb waits for them
  /// How far the group that is being written has come.
  struct Group {
    static constexpr std::size_t kJobsMax = 1'000;
    std::array<std::size_t, kLanes> taken{};
    Millis age{0};
  };
  /// False, and `item` is left as it was, where the lane is full.
  [[nodiscard]] bool put(Lane lane, Item& item);
  /// The next job for this group, with those of the same fold that stand right behind it, each of another key; none when it is time to commit. Whatever the
  /// others do, each lane adds to each group.
  [[nodiscard]] std::vector<Item> next(Group& group);
  [[nodiscard]] bool empty() const;

  struct Figures {
    std::size_t waiting = 0;
    std::uint64_t refused = 0;
  };
  [[nodiscard]] std::array<Figures, kLanes> figures() const;

private:
  std::array<std::deque<Item>, kLanes> queues_;
  std::array<std::uint64_t, kLanes> refused_{};
};

}  // namespace fleet::store
