#pragma once

#include "core/content/source.hpp"
#include "core/crypto/data_key.hpp"

namespace fleet::content {

/// Pieces of so many bytes are encrypted each for itself, so that any part can be read without the rest.
inline constexpr std::size_t kSealedPieceBytes = 256 * 1024;

/// A recipe as it travels to devices that have the key.
[[nodiscard]] Bytes seal_pieces(crypto::DataKey const& key, BytesView plain);

/// What seal_pieces made, read as it was; one piece at a time is held.
class SealedSource final : public Source {
public:
  /// @param sealed  whose digest the caller has verified; kept by the caller for as long as this lives
  SealedSource(Source& sealed, crypto::DataKey const& key) : sealed_(sealed), key_(key) {}
  [[nodiscard]] std::uint64_t size() const override;
  /// @errors unprocessable (code `not_opened`: another key's), io
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) override;

private:
  Result<void> load(std::uint64_t index);

  Source& sealed_;
  crypto::DataKey key_;
  std::uint64_t loaded_ = ~std::uint64_t{0};
  Bytes piece_;
};

}  // namespace fleet::content
