#pragma once

#include "agent/proof/proof.hpp"
#include "agent/slots/slots.hpp"
#include "core/wire/release.hpp"

#include <string>

namespace fleet::agent {

/// A release whose archives are staged, and the program that reads them.
struct Packed {
  std::string model, digest;
  wire::Variant const& variant;
};

/// Where `fleet-unpack` is: beside the program of this process, or in ../libexec/fleet from there; where it is in neither, the first of them.
[[nodiscard]] std::string unpack_program(Fs& fs);

/// Unpacks the staged archives and makes what came out of them, and the release's other files, the slot. Each archive has its digest before anything reads it; it is read by
/// a child with run_as's rights that makes no file. Durable before it returns; the list of what the slot holds is kept before the archives are gone, so that a cut at any
/// call is gone on from with `finish_unpacked`.
/// @errors unprocessable (code `bad_archive`: the release's own; `digest_mismatch`), unavailable (disk_full, interrupted, unpack_failed), io, as run() has them
Result<void> unpack(Bench const& bench, Slots& slots, Packed const& packed);

/// The end of it: what was written and is described by `tree` becomes the slot. @param tree  what TreeWriter::finish gave
Result<void> install_tree(Fs& fs, Slots& slots, Packed const& packed, wire::Variant const& tree, Slots::Stop stop = nullptr);

/// Goes on where `unpack` was cut off after the archives were gone. True: the slot is whole now. False: there is nothing to go on from, what was begun is forgotten.
Result<bool> finish_unpacked(Fs& fs, Slots& slots, Packed const& packed, Slots::Stop stop = nullptr);

}  // namespace fleet::agent
