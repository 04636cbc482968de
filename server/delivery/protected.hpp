#pragma once

#include "core/wire/device.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

namespace fleet::delivery {

/// Puts the data keys of protected releases into a directive that is about to be signed, encrypted to its device. They are no part of what is stored and
/// compared: the same device and release give the same text. A revoked release's is withheld, and so are those of a device that gave no wrap_key or is not active.
Result<void> put_data_keys(db::Connection& reader, signing::KeyRing& keys, wire::Directive& directive);

}  // namespace fleet::delivery
