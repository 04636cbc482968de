#pragma once

#include "cli/args/refs.hpp"
#include "core/base/time.hpp"
#include "core/trust/metadata.hpp"
#include "core/trust/updater.hpp"
#include "core/wire/release.hpp"

/// What an owner's key signs of a release: that it joins, and nothing else. Pure; the server's word counts for nothing here.
namespace fleet::cli {

/// The refusal of whatever else a proposal holds. @returns signature (unexpected_change)
[[nodiscard]] Error unexpected(std::string detail);

/// The one entry that `after` has more than `before`, where all else is as the owners signed it: the next version, good for at most 400 days,
/// no delegation, every earlier entry byte for byte, a release counter above all of theirs.
/// @param path  `models/<model>/<version>/release.json`
/// @errors signature (unexpected_change)
[[nodiscard]] Result<trust::Target> the_addition(trust::Targets const& before, trust::Targets const& after, std::string const& path, SysTime now);

/// The entry says of the release what its document says of itself: model, version, hardware, counter, floor. @errors signature (unexpected_change)
[[nodiscard]] Result<void> check_entry(trust::Target const& entry, wire::Release const& release, ReleaseRef const& ref);

/// The document says what this publisher sent: files, hardware, commands, floor; the counter is the server's. @errors signature (unexpected_change)
[[nodiscard]] Result<void> check_published(wire::Release expected, wire::Release const& release);

}  // namespace fleet::cli
