#pragma once

#include "core/base/bytes.hpp"
#include "core/base/random.hpp"

namespace fleet::crypto {

/// Encrypts a small secret (a key file) with a passphrase: Argon2id (moderate) and XChaCha20-Poly1305, by libsodium.
[[nodiscard]] Result<Bytes> seal(BytesView plain, std::string_view passphrase, Random& random);
/// Whether bytes are what `seal` made, by their beginning.
[[nodiscard]] bool is_sealed(BytesView bytes);
/// @errors unauthenticated (wrong passphrase), corrupt
[[nodiscard]] Result<Bytes> unseal(BytesView sealed, std::string_view passphrase);

/// The same for a stream of any length (backups): `SealedWriter` gives a header, then frames of at most 64 KiB of plain text;
/// a cut or reordered stream is refused (crypto_secretstream).
class StreamSealer {
public:
  [[nodiscard]] static Result<StreamSealer> create(std::string_view passphrase, Random& random);
  [[nodiscard]] BytesView header() const { return header_; }
  /// `last` marks the end; nothing may follow.
  [[nodiscard]] Bytes frame(BytesView plain, bool last);

private:
  Bytes header_;
  Bytes state_;
};
class StreamOpener {
public:
  static constexpr std::size_t kFramePlainMax = 64 * 1024;
  [[nodiscard]] static std::size_t header_size();
  [[nodiscard]] static std::size_t frame_overhead();
  [[nodiscard]] static Result<StreamOpener> create(BytesView header, std::string_view passphrase);
  struct Frame {
    Bytes plain;
    bool last = false;
  };
  [[nodiscard]] Result<Frame> open(BytesView frame);

private:
  Bytes state_;
};

}  // namespace fleet::crypto
