#include "core/content/sealed_source.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::content {
namespace {

constexpr std::uint64_t kStep = kSealedPieceBytes + crypto::DataKey::kOverhead;

}  // namespace

Bytes seal_pieces(crypto::DataKey const& key, BytesView plain) {
  Bytes out;
  out.reserve(plain.size() + (plain.size() / kSealedPieceBytes + 1) * crypto::DataKey::kOverhead);
  while (!plain.empty()) {
    auto const piece = plain.first(std::min(plain.size(), kSealedPieceBytes));
    auto const sealed = key.seal(piece);
    out.insert(out.end(), sealed.begin(), sealed.end());
    plain = plain.subspan(piece.size());
  }
  return out;
}

/// What is no whole piece at the end counts as nothing: it opens as none.
std::uint64_t SealedSource::size() const {
  auto const all = sealed_.size(), whole = all / kStep, rest = all % kStep;
  return whole * kSealedPieceBytes + (rest > crypto::DataKey::kOverhead ? rest - crypto::DataKey::kOverhead : 0);
}

Result<void> SealedSource::load(std::uint64_t index) {
  if (index == loaded_) return {};
  auto const from = index * kStep;
  Bytes sealed(static_cast<std::size_t>(std::min(kStep, sealed_.size() - from)));
  FLEET_CHECK(sealed_.read(from, sealed));
  FLEET_TRY(piece_, key_.open(sealed));
  loaded_ = index;
  return {};
}

Result<void> SealedSource::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset > size() || out.size() > size() - offset) return Error{Kind::corrupt, "short_read", fmt::format("wanted {} bytes at {}, there are {} in all", out.size(), offset, size())};
  while (!out.empty()) {
    FLEET_CHECK(load(offset / kSealedPieceBytes));
    auto const at = static_cast<std::size_t>(offset % kSealedPieceBytes);
    auto const n = std::min(out.size(), piece_.size() - at);
    std::copy_n(piece_.begin() + static_cast<std::ptrdiff_t>(at), n, out.begin());
    out = out.subspan(n);
    offset += n;
  }
  return {};
}

}  // namespace fleet::content
