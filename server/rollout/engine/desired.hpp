#pragma once

#include "core/wire/device.hpp"
#include "server/registry/device_facts.hpp"
#include "server/rollout/engine/membership.hpp"
#include "server/rollout/gates/evidence.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fleet::rollout {

/// What a device's models do, as its polls tell it.
using ModelStatuses = std::map<std::string, wire::ModelStatus>;

/// Why a device should run what it should: for directives and for `explain`.
struct Because {
  std::string code;  ///< in_stage, control, later_stage, held_back, quarantined, frozen, blocked, in_flight, egress, beyond_plan, place_taken, restored; not_selected, no_variant, revoked, no_rollout; set, broken_up (engine/sets.hpp); of the rollout:
                     ///< awaiting_approval, paused, aborted, completed; of the device in it: failed, tries_again, ineligible, dropped, reverting, reverted
  std::string text;
  std::string selector = {};  ///< of a rollout that has nothing to do with the device (not_selected): not everybody who sees the device sees that
  bool names_others = false;  ///< the text names rollouts or releases of other models: not everybody who sees this one sees those
};

/// A member of a set, as directives name it.
struct SetMember {
  std::string model, version;
  Digest digest;
  std::int64_t document_bytes = 0;  ///< length of its release.json
  std::vector<std::string> after;   ///< models
};

/// What one device should run of one model.
struct Desired {
  std::string model;
  std::string version;           ///< empty for remove, or when nothing is said
  wire::DirectiveTarget target;  ///< as it goes into the directive; `model` empty: nothing is said
  std::int64_t rollout_n = 0;    ///< 0: none
  int stage = 0;
  std::string stratum;
  Arm arm = Arm::canary;
  std::optional<Site> takes;  ///< `joins`, and `limits.per` counts it there from now on
  bool joins = false;  ///< true: dispatching this creates the device's row in rollout_devices
  std::vector<Because> because;
  std::vector<std::string> revoked;  ///< digests of the model's releases that this device had and that were revoked
  std::vector<SetMember> members = {};  ///< of a set, as they are listed
  std::string overtaken_by = {};        ///< id of the rollout whose word on the model, or on a member of the set, counts first
  std::string holder = {};  ///< id of the live rollout that covers the device, told or not, or of the one that it returns from; empty: none
};

/// The answer for all models, and how long it stands (windows, back-offs).
struct Decision {
  std::vector<Desired> models;
  SysTime valid_until{};
  bool gave_up = false;  ///< the device holds a place of `limits.per` for an order that it is given no more
};

}  // namespace fleet::rollout
