#pragma once

#include "core/base/bytes.hpp"
#include "core/crypto/keys.hpp"
#include "core/trust/key_set.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace fleet::trust {

/// Verifies a DSSE envelope (protocol of secure-systems-lab/dsse, version 1.0.2) over the received bytes and returns its payload.
/// Counts distinct public keys; parses the payload never.
/// @param envelope  untrusted JSON, at most `limit_bytes`
/// @errors bad_input, too_large, signature
[[nodiscard]] Result<Bytes> open_envelope(BytesView envelope, std::string_view payload_type, KeySet const& keys, std::uint64_t limit_bytes);

/// The payload, where `key` made one of the signatures, whatever key ids the envelope claims: they are hints. @errors as open_envelope
[[nodiscard]] Result<Bytes> open_envelope_by(BytesView envelope, std::string_view payload_type, crypto::PublicKey const& key, std::uint64_t limit_bytes);

/// A DSSE envelope with the signature that `sign` makes of what is to be signed: for keys that are no SigningKey. @errors what `sign` says
[[nodiscard]] Result<std::string> make_envelope_by(std::string_view payload_type, BytesView payload, std::string_view key_id,
                                                   std::function<Result<Bytes>(BytesView message)> const& sign);

/// A DSSE envelope (compact JSON) with one signature a key.
[[nodiscard]] std::string make_envelope(std::string_view payload_type, BytesView payload, std::span<crypto::SigningKey const> keys);

}  // namespace fleet::trust
