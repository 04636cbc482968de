#pragma once

#include "core/base/bytes.hpp"

#include <memory>
#include <string_view>

namespace fleet::crypto {

/// A public key that signs for one algorithm of RFC 7518 alone, whatever a token's header says: RS256 or ES256.
class JwsKey {
public:
  /// RS256 (RSASSA-PKCS1-v1_5 with SHA-256), 3.3. 2,048 to 8,192 bits, exponent 65,537 to 2^32. @errors bad_input (code `bad_key`)
  [[nodiscard]] static Result<JwsKey> rsa(BytesView modulus, BytesView exponent);
  /// ES256 (P-256 with SHA-256), 3.4; 32 bytes each. @errors bad_input (code `bad_key`: not on the curve)
  [[nodiscard]] static Result<JwsKey> p256(BytesView x, BytesView y);

  [[nodiscard]] std::string_view algorithm() const { return algorithm_; }
  /// @param signature  RS256: as long as the modulus; ES256: r and s, 32 bytes each. @errors signature
  [[nodiscard]] Result<void> verify(BytesView message, BytesView signature) const;

private:
  JwsKey(std::string_view algorithm, std::shared_ptr<void> key) : algorithm_(algorithm), key_(std::move(key)) {}
  std::string_view algorithm_;
  std::shared_ptr<void> key_;  ///< EVP_PKEY; never changes
};

}  // namespace fleet::crypto
