#pragma once

#include "agent/slots/slots.hpp"
#include "core/crypto/data_key.hpp"

#include <string>

/// A slot that is as it is in memory alone, and its files on the disk, encrypted (docs/adr/0050).
namespace fleet::agent {

struct SealedSlot {
  std::string const &model, &name;  ///< of a release that Slots::keep_in_memory was told of
  wire::Variant const& variant;
  crypto::DataKey const& key;
};

/// Writes the files of a slot that is whole, encrypted and durable; those that are there already stay. @errors io, unavailable (disk_full, interrupted)
Result<void> seal_slot(Fs& fs, Slots const& slots, SealedSlot const& sealed, std::atomic<bool> const& stop);
/// Makes the slot of them again, as it is after each boot. False: not all of them are there, or not what was signed.
/// @errors as Slots::install
Result<bool> unseal_slot(Fs& fs, Slots& slots, SealedSlot const& sealed, std::atomic<bool> const& stop);

/// Whether a folder lies in memory (tmpfs, ramfs), so that nothing of it reaches a disk but by swapping. @errors io, unprocessable (code `no_memory_dir`)
[[nodiscard]] Result<void> check_memory_dir(std::string const& path);

}  // namespace fleet::agent
