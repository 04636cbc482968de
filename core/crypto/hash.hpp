#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace fleet::crypto {

[[nodiscard]] Digest sha256(BytesView bytes);
[[nodiscard]] inline Digest sha256(std::string_view text) { return sha256(as_bytes(text)); }

/// RFC 2104 over SHA-256.
[[nodiscard]] Digest hmac_sha256(BytesView key, BytesView message);

/// SHA-512 in hex, for metadata of others that names it.
[[nodiscard]] std::string sha512_hex(BytesView bytes);

/// SHA-256 of a stream (FIPS 180-4), by OpenSSL.
class Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(BytesView bytes);
  /// Once.
  [[nodiscard]] Digest finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

struct FileDigest {
  Digest sha256;
  std::uint64_t size = 0;
};
/// Reads a file in 1 MiB pieces. @param stop  looked at between them @errors not_found, io, unavailable (code `interrupted`)
[[nodiscard]] Result<FileDigest> sha256_file(Fs& fs, std::string const& path, std::atomic<bool> const* stop = nullptr);

/// Compares secrets in time that depends on the lengths only.
[[nodiscard]] bool equal_secrets(BytesView a, BytesView b);

}  // namespace fleet::crypto
