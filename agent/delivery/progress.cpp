#include "agent/delivery/progress.hpp"

#include "core/crypto/hash.hpp"

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::string_view kMagic = "FLTMAP1\n";
constexpr std::uint64_t kBytesMax = 4 * 1024 * 1024;  ///< more than content::kBlocksMax bits
constexpr std::size_t kHeadBytes = 8 + 32 + 8;

}  // namespace

Progress Progress::load(Fs& fs, std::string path, Digest const& recipe, std::uint64_t blocks) {
  Progress out(std::move(path), recipe, blocks);
  auto const text = fs.read(out.path_, kBytesMax);
  if (!text || text->size() != kHeadBytes + out.bits_.size() + 32) return out;
  auto const head = out.encode().substr(0, kHeadBytes);
  auto const body = std::string_view(*text).substr(0, text->size() - 32);
  auto const sum = crypto::sha256(body);
  bool const sound = body.starts_with(head) && as_text(BytesView(sum.bytes)) == std::string_view(*text).substr(body.size());
  if (!sound) return out;
  auto const bits = as_bytes(body.substr(kHeadBytes));
  out.bits_.assign(bits.begin(), bits.end());
  out.was_kept_ = true;
  return out;
}

void Progress::set(std::uint64_t block, bool there) {
  auto& byte = bits_[static_cast<std::size_t>(block / 8)];
  auto const bit = static_cast<std::uint8_t>(1U << (block % 8));
  byte = static_cast<std::uint8_t>(there ? byte | bit : byte & ~bit);
}

/// The recipe's digest, the count of blocks (little-endian), a bit each, the lowest first; SHA-256 of all that.
std::string Progress::encode() const {
  std::string out(kMagic);
  out += as_text(BytesView(recipe_.bytes));
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(blocks_ >> shift & 0xff);
  out += as_text(BytesView(bits_));
  auto const sum = crypto::sha256(out);
  out += as_text(BytesView(sum.bytes));
  return out;
}

Result<void> Progress::keep(Fs& fs) const { return fs.replace(path_, encode()); }

}  // namespace fleet::agent
