#pragma once

#include "server/rollout/engine/progress.hpp"
#include "server/rollout/gates/gate.hpp"
#include "server/rollout/policy/states.hpp"

#include <optional>
#include <string>
#include <vector>

/// One step of a rollout: what is known at a moment in, the rollout's next state and what is to be done out. Pure: the server's shell and the simulator
/// run it whole. What concerns one device is beside it: decide.hpp (what it should run), rows.hpp (where its words move its row).
namespace fleet::rollout {

/// What does not change while a rollout goes on.
struct Setting {
  Policy const& policy;
  Ladder const& ladder;
  std::string release = {};  ///< model@version, for people
};

/// Where the rollout stands, beside its windows.
struct Standing {
  State state = State::running;
  int stage = 1;
  bool full = false;  ///< promote --full: bake and evidence are skipped
  Latches latches = {};
  std::int64_t approvals = 0;  ///< for the next stage, where the policy asks for them
  bool release_revoked = false;
  bool is_set = false;           ///< a release of a set counts as revoked where one of its members is
  bool against_revoked = false;  ///< of a test: the other one
  bool restored = false;       ///< a backup brought it back, and nobody has resumed it: nothing is taken back
  std::string cause = {};      ///< why it is paused or rolling back
  bool begun = true;           ///< false: it waits for the rollout that it comes after, or for its time
  std::string waits_for = {};  ///< in words, until it may begin: "rollout r_1, which is running"; empty: it may
  std::string frozen = {};     ///< no device begins until then, in words for people; empty: it may
  bool wait_ended = false;     ///< what it waits for will never come: a person decides
};

/// An input: somebody looks at what is known.
struct Look {
  Millis service;  ///< service time now
  Standing standing;
  Facts facts;
};

/// What a step has to say.
struct Verdict {
  Ruling decision = Ruling::hold;
  std::string reason = {};          ///< what lists, `get`, `watch` and `wait` show: at an end its cause, not its last step
  std::string step = {};            ///< what just happened, for the history, where that is something else
  std::vector<GateVerdict> gates = {};
  std::optional<Event> event = {};  ///< what the state machine is to be told
  bool begin = false;               ///< its first stage begins now
  bool start_bake = false;          ///< baking began
  bool told_anew = false;           ///< who belongs to it changed: devices decide again
  bool closed_window = false;
  bool entered = false;             ///< a stage began, or its time begins anew
  Latches latches = {};
  std::optional<Millis> look_at = {};  ///< service time at which something happens by itself, if nothing else does
};

struct Stepped {
  Progress progress;
  Verdict verdict;
};

/// Enters a stage: its deadline runs, its first window opens. `step` does so by itself where a verb named another stage than the progress is of.
/// @param full  all that are left at once, without control
[[nodiscard]] Progress enter(Setting const& setting, Progress progress, int stage, bool full, Millis service);
/// A person accepted what is known by now: harm is looked for anew.
[[nodiscard]] Progress accept(Progress progress);
/// Whether a step could do anything but say again what the last one said; time alone moves what `Verdict::look_at` names.
[[nodiscard]] bool may_move(Setting const& setting, Progress const& progress, Look const& look);
/// Whether this look judges the open window: what its members measured (Facts::measured) is needed now, and only now.
[[nodiscard]] bool closes_window(Setting const& setting, Progress const& progress, Look const& look);
/// Judges a rollout in state running, awaiting_approval, paused or rolling_back. Where the verdict's event is `widen`, the progress is of the next stage.
[[nodiscard]] Stepped step(Setting const& setting, Progress progress, Look const& look);

}  // namespace fleet::rollout
