#pragma once

#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::agent {

/// States of the update machine, as polls and reports name them.
enum class State {
  idle, checking, downloading, staged, waiting, testing, switching, probation, committed, failed, rolling_back, rolled_back,
  proving, proved, ineligible  ///< of a proof of what runs; ineligible: it does not run
};
inline constexpr std::array<std::string_view, 15> kStateNames{"idle",      "checking",  "downloading", "staged", "waiting",      "testing",     "switching", "probation",
                                                              "committed", "failed",    "rolling_back", "rolled_back", "proving", "proved", "ineligible"};
[[nodiscard]] inline std::string_view to_string(State state) { return kStateNames[static_cast<std::size_t>(state)]; }
[[nodiscard]] std::optional<State> state_of(std::string_view name);

/// A release as the device names it; empty digest: none.
struct Version {
  std::string digest, version;
  bool operator==(Version const&) const = default;
  [[nodiscard]] bool none() const { return digest.empty(); }
};
/// What is final for (digest, rollout, attempt): of an update or a proof, where only a higher attempt tries again (docs/protocol.md, Attempts), or a
/// person's consent.
struct Refusal {
  std::string digest, rollout;
  std::int64_t attempt = 0;
  bool operator==(Refusal const&) const = default;
};

/// A step that runs the release (testing, switching, probation, proving), across restarts (docs/protocol.md, Attempts).
struct StepRun {
  int starts = 0;                ///< in a row that no ordinary stop ended
  Millis spent{0};               ///< the time it took so far
  std::vector<std::int64_t> inferences = {};  ///< that were counted in it, by part: one, or a set's members
};
/// For which rollout a version runs that was switched to and never proved.
struct Unproven {
  std::string rollout;
  std::int64_t attempt = 0;
};

/// The last golden test of what runs: before its switch, or again.
struct Checked {
  std::string digest;      ///< of what
  SysTime at{};
  std::string system;      ///< Context::system at that time
  std::string code, text;  ///< why it failed; empty: it passed
  int starts = 0;          ///< of the next one, in a row that no ordinary stop ended
};

/// A set's member, and what ran of it before the set's release: where it goes back to.
struct MemberBefore {
  std::string model;
  Version before;
  bool operator==(MemberBefore const&) const = default;
};
/// One release of a set, and its members in the order of their switches.
struct SetRecord {
  std::string digest;
  std::vector<MemberBefore> members;
  bool operator==(SetRecord const&) const = default;
};

/// All that the device knows of one model: the journal's record.
struct ModelState {
  std::string model;
  State state = State::idle;
  Version running;   ///< what `current` points at
  Version previous;  ///< the committed version before it: what a local rollback returns to
  Version older;     ///< the one before `previous`, kept until the next commit
  Version target;    ///< what the machine works on, or worked on last
  std::vector<std::string> former;  ///< digests of committed versions before `previous`, the newest first: for the owner's `keep`
  std::vector<SetRecord> sets;      ///< of a set: of what runs, what ran before, and what it is switched to
  std::string rollout;
  std::int64_t attempt = 0;
  int tries = 0;                  ///< failures before the golden test with an answer and without progress, in a row
  Millis stalled{0};              ///< time of contact in which nothing of it moved
  std::uint64_t staged_bytes = 0; ///< the most that was there of its files
  StepRun run;                    ///< of the state it is in
  std::optional<Unproven> unproven;  ///< of what runs: something newer is wanted before it was proved
  std::uint64_t memory_needed = 0;  ///< bytes that must be free to switch to the target: what its manifest says, or its golden test had
  std::string waiting;            ///< why it waits
  std::uint64_t to_fetch = 0;     ///< while a download waits: bytes that it would fetch, as far as that is known; not journalled
  wire::DeviceError error;        ///< of the last target
  std::vector<Refusal> refusals;  ///< the last 16
  bool proof = false;             ///< what it works on is a proof of what runs
  std::optional<Refusal> proof_done;  ///< the last proof that came to an end: it is not run again
  std::optional<Refusal> consented;   ///< what the owner last agreed to
  Millis lock_delay{0};               ///< since the owner's lock first kept it back
  Checked checked;                ///< of what runs
  std::string variant;            ///< that `current` leads to; empty: the hardware's own
  std::string held;               ///< digest that the owner refused by a local rollback
  std::int64_t floor = 0;         ///< lowest release_counter that may be adopted; rises at commit
  SysTime since{};                ///< start of the state
  /// Why what runs failed when it was tested again; empty: it did not.
  [[nodiscard]] std::string failed_again() const { return checked.digest == running.digest ? checked.code : std::string(); }
};

[[nodiscard]] std::string encode(ModelState const& state);
/// @errors bad_input
[[nodiscard]] Result<ModelState> decode_model_state(std::string_view text);

}  // namespace fleet::agent
