#pragma once

#include "agent/slots/slots.hpp"
#include "agent/store/config.hpp"
#include "core/wire/release.hpp"

#include <optional>
#include <string>

namespace fleet::agent {

/// Whether this device's owner lets a release be installed so (`handlers` of agent.yaml). A set has no handler, its members have.
/// @errors unprocessable (code `ineligible`): what it is installed by, and what is allowed here
[[nodiscard]] Result<void> check_handler(wire::Release const& release, Config const& config);

/// What the slot of a release holds: the variant itself, or what its archives were unpacked to. Nothing: they were not, or what is known of it is damaged.
[[nodiscard]] std::optional<wire::Variant> contents_of(Slots const& slots, std::string const& model, std::string const& digest, wire::Release const& release,
                                                       wire::Variant const& variant);

}  // namespace fleet::agent
