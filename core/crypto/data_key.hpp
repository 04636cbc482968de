#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

#include <array>
#include <string_view>

namespace fleet::crypto {

/// What the objects of one protected release are encrypted with (docs/adr/0050). Wiped from memory on destruction; never printed.
///
/// Pieces are encrypted with XChaCha20-Poly1305 under a nonce that is a keyed hash of the piece (BLAKE2b, 192 bits), which goes before it: the same piece
/// gives the same bytes, so that what is prepared can be prepared again, and no two different pieces share a nonce. What that tells who has no key is that
/// two pieces of one release are equal.
class DataKey {
public:
  static constexpr std::size_t kBytes = 32;
  /// A sealed piece has so many bytes more than the piece.
  static constexpr std::size_t kOverhead = 24 + 16;

  /// The key of one release out of a secret that makes all of them. @param secret  32 bytes @param release  digest of its release.json
  [[nodiscard]] static DataKey derive(BytesView secret, Digest const& release);
  /// @errors bad_input (not 32 bytes)
  [[nodiscard]] static Result<DataKey> from_bytes(BytesView bytes);
  ~DataKey();
  DataKey(DataKey const&) = default;
  DataKey& operator=(DataKey const&) = default;

  [[nodiscard]] BytesView bytes() const { return key_; }
  /// 32 bytes that nobody without the key can tell, for one use of its own.
  [[nodiscard]] std::array<std::uint8_t, 32> secret_for(std::string_view use, BytesView input) const;

  [[nodiscard]] Bytes seal(BytesView piece) const;
  /// @errors unprocessable (code `not_opened`: another key's, or changed)
  [[nodiscard]] Result<Bytes> open(BytesView sealed) const;

private:
  explicit DataKey(BytesView bytes);
  std::array<std::uint8_t, kBytes> key_{};
};

}  // namespace fleet::crypto
