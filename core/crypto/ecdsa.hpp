#pragma once

#include "core/crypto/keys.hpp"

/// ECDSA P-256 as others write it: tokens (PKCS #11 3.0, 2.3.1) and RFC 7518 give r and s, TUF and X.509 take DER.
namespace fleet::crypto {

/// @param r_and_s  32 bytes each. @errors signature (another length)
[[nodiscard]] Result<Bytes> ecdsa_der(BytesView r_and_s);
/// A TUF key of an uncompressed point: 0x04, x, y (SEC 1, 2.3.3), 65 bytes. @errors signature (`bad_key`: not on the curve)
[[nodiscard]] Result<PublicKey> p256_key(BytesView point);

}  // namespace fleet::crypto
