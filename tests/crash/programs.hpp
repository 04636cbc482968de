#pragma once

#include "core/base/fs.hpp"
#include "core/proof/process.hpp"

namespace fleet::crash {

struct World;

/// The programs of the releases here, each a real script, and of the device: what running one does is told by its text.
inline constexpr char kGolden[] = "#!/bin/sh\ncp answer \"$FLEET_OUTPUT\"\n";
inline constexpr char kPasses[] = "#!/bin/sh\nexit 0\n";
inline constexpr char kFails[] = "#!/bin/sh\nexit 1\n";
inline constexpr char kUnpack[] = "fleet-unpack";
/// Installs releases of the handler exec, as a program that writes to a flash would: images and the name of the one that runs lie in kFlash, and what it writes goes through the same disk.
inline constexpr char kFlasher[] = "flasher";
inline constexpr char kFlasherPath[] = "/usr/bin/flasher", kFlash[] = "/flash";

/// Puts the device's own programs where they are.
void put_programs(World& world);
/// Runs one. What is called and is not whole is a fault of the world.
[[nodiscard]] Result<proof::Outcome> run(World& world, Fs& fs, proof::Command const& command);

}  // namespace fleet::crash
