#pragma once

#include "agent/slots/slots.hpp"
#include "agent/store/model_state.hpp"
#include "core/wire/release.hpp"

#include <string>
#include <vector>

namespace fleet::agent {

/// What a set's own slot holds.
inline constexpr std::string_view kSetFile = "release.json";

/// One model that an update moves: its own, or, of a set, a member; and last the set itself, whose one variant is its release.json.
struct Part {
  std::string model;
  Version version;
  wire::Release release;
  std::string document = {};  ///< of a set itself
};
/// A slot of a part: one a variant of the device's hardware.
struct Place {
  std::string name;  ///< as the functions of Slots take it
  wire::Variant const* variant;
};
/// The hardware's own first; empty: there is none. They point into `part`.
[[nodiscard]] std::vector<Place> places_of(Part const& part, std::string const& hardware);
/// In the order in which they are switched, from the documents that are kept here. @errors as Slots::load_release, bad_input
[[nodiscard]] Result<std::vector<Part>> load_parts(Slots const& slots, std::string const& model, Version const& version, std::string const& hardware);
/// What ran before of a set's members, for one of its releases; null: it is no set's, or nothing is known.
[[nodiscard]] SetRecord const* find_record(ModelState const& state, std::string const& digest);
/// Records of releases that the set is on its way to, or could go back to: others go.
void prune_records(ModelState& state);

}  // namespace fleet::agent
