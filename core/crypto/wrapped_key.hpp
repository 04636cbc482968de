#pragma once

#include "core/crypto/data_key.hpp"
#include "core/crypto/hpke.hpp"

#include <string>
#include <string_view>

namespace fleet::crypto {

/// A release's data key for one device: HPKE to the device's wrap_key, bound to the device and the release, in base64. The same input gives the same text,
/// so that a directive that says nothing new has the same bytes.
/// @param recipient  as read_recipient gives it @errors bad_input (`bad_key`)
[[nodiscard]] Result<std::string> wrap(DataKey const& key, BytesView recipient, std::string_view device, Digest const& release);
/// @param own  the device's wrap_key, the private half @errors unauthenticated (`not_for_this_key`), unavailable (`key_device`), bad_input
[[nodiscard]] Result<DataKey> unwrap(PrivateKey const& own, std::string_view wrapped, std::string_view device, Digest const& release);

}  // namespace fleet::crypto
