#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "server/rollout/engine/step.hpp"
#include "server/rollout/policy/policy.hpp"
#include "server/rollout/policy/states.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace fleet::rollout {

/// Whether a backup brought the rollout back, and a person has resumed it since.
enum class Restored { no, held, resumed };

/// The release of a test that the rollout's own is tested against.
struct Against {
  std::int64_t release_n = 0;
  std::string version;
  Digest digest;                    ///< of its release.json
  std::int64_t document_bytes = 0;
  std::string state;
};

/// A row of `rollouts`, with what it needs of its release.
struct Rollout {
  std::int64_t n = 0;
  std::string id, model, version;
  std::int64_t release_n = 0;
  std::string selector;
  Policy policy;
  std::string policy_json;
  std::string salt;
  State state = State::draft;
  int stage = 0;  ///< 0: not started
  bool baking = false;
  std::optional<SysTime> stage_since, bake_since, deadline;  ///< for people: what decides is in `progress`
  Progress progress;
  bool full = false;
  std::int64_t attempt = 1;
  std::optional<std::int64_t> after_n, supersedes_n;
  std::optional<SysTime> started_at;
  std::optional<SysTime> ended_at;     ///< completed, aborted, or began to roll back
  std::optional<std::int64_t> moment;  ///< raised when a rollout starts or ends: which came later, whatever the clock said
  std::string verdict;                 ///< JSON: what verdict_json.hpp writes
  Latches latches;
  std::string reason;
  std::optional<std::string> follows;  ///< the alias whose move started it
  std::string created_by;
  SysTime created_at{};
  std::int64_t revision = 1;
  Restored restored = Restored::no;
  std::string release_state;
  Digest digest;                    ///< of release.json
  std::int64_t document_bytes = 0;  ///< length of release.json
  std::optional<Against> against;   ///< where the policy is a test

  /// What the devices of an arm run, once they did as they were told. Of controls beside stages it is not known here.
  [[nodiscard]] Against shipped(Arm arm) const;
  [[nodiscard]] bool is_of_release(Arm arm) const { return !against || side_of(arm) == 0; }
  [[nodiscard]] std::string const& version_of(Arm arm) const { return is_of_release(arm) ? version : against->version; }
  [[nodiscard]] std::string const& release_state_of(Arm arm) const { return is_of_release(arm) ? release_state : against->state; }
  /// Does a device of the arm keep what it has, although the rollout is taken back? The release that won a test does.
  [[nodiscard]] bool keeps(Arm arm) const { return !is_of_release(arm) && progress.winner == Winner::b; }
  /// What a report or a poll says of `spoken` is of the arm: a control speaks of what it runs, a canary of the release.
  [[nodiscard]] bool is_of_arm(Arm arm, std::string_view spoken) const { return against ? spoken == version_of(arm) : (arm == Arm::canary) == (spoken == version); }

  /// It was started, and tells no device anything until its time has come, or the rollout that it comes after has completed.
  [[nodiscard]] bool waits_to_begin() const { return stage >= 1 && !stage_since; }
};

/// One moment on both clocks.
struct Instant {
  SysTime wall;    ///< for people, windows and certificates
  Millis service;  ///< for what decides
};

/// Moves to a stage: the next step enters it. @param now  for people
void enter_stage(Rollout& rollout, int stage, SysTime now);
/// Stands before its first stage: nobody is told anything, no deadline runs.
void await_beginning(Rollout& rollout);
/// What people read of `progress`: its times, on the wall.
void show_times(Rollout& rollout, Instant now);

}  // namespace fleet::rollout
