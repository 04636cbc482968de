#include "core/crypto/sealed.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace fleet::crypto {
namespace {

using Secret = std::array<unsigned char, crypto_secretstream_xchacha20poly1305_KEYBYTES>;
constexpr std::size_t kSalt = crypto_pwhash_SALTBYTES;
constexpr std::size_t kStreamHeader = crypto_secretstream_xchacha20poly1305_HEADERBYTES;
constexpr std::string_view kMagic = "fleet-sealed-1\n";

Error wrong() { return {Kind::unauthenticated, "wrong_passphrase", "the passphrase is wrong, or the sealed bytes were changed"}; }

Result<Secret> derive(std::string_view passphrase, BytesView salt) {
  if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
  Secret key{};
  if (crypto_pwhash(key.data(), key.size(), passphrase.data(), passphrase.size(), salt.data(), crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE,
                    crypto_pwhash_ALG_ARGON2ID13) != 0)
    return Error{Kind::unavailable, "no_memory", "Argon2id needs 256 MiB of memory"};
  return key;
}

crypto_secretstream_xchacha20poly1305_state& state_of(Bytes& bytes) { return *reinterpret_cast<crypto_secretstream_xchacha20poly1305_state*>(bytes.data()); }

}  // namespace

Result<Bytes> seal(BytesView plain, std::string_view passphrase, Random& random) {
  FLEET_TRY(auto sealer, StreamSealer::create(passphrase, random));
  Bytes out(sealer.header().begin(), sealer.header().end());
  do {
    auto const piece = plain.first(std::min(plain.size(), StreamOpener::kFramePlainMax));
    plain = plain.subspan(piece.size());
    auto const frame = sealer.frame(piece, plain.empty());
    out.insert(out.end(), frame.begin(), frame.end());
  } while (!plain.empty());
  return out;
}

bool is_sealed(BytesView bytes) { return as_text(bytes).starts_with(kMagic); }

Result<Bytes> unseal(BytesView sealed, std::string_view passphrase) {
  if (sealed.size() < StreamOpener::header_size()) return wrong();
  FLEET_TRY(auto opener, StreamOpener::create(sealed.first(StreamOpener::header_size()), passphrase));
  sealed = sealed.subspan(StreamOpener::header_size());
  Bytes out;
  for (;;) {
    auto const size = std::min(sealed.size(), StreamOpener::kFramePlainMax + StreamOpener::frame_overhead());
    FLEET_TRY(auto const frame, opener.open(sealed.first(size)));
    out.insert(out.end(), frame.plain.begin(), frame.plain.end());
    sealed = sealed.subspan(size);
    if (frame.last != sealed.empty()) return wrong();
    if (frame.last) return out;
  }
}

Result<StreamSealer> StreamSealer::create(std::string_view passphrase, Random& random) {
  StreamSealer sealer;
  sealer.header_.assign(kMagic.begin(), kMagic.end());
  sealer.header_.resize(kMagic.size() + kSalt);
  auto const salt = std::span(sealer.header_).subspan(kMagic.size(), kSalt);
  random.fill(salt);
  FLEET_TRY(auto key, derive(passphrase, salt));
  std::array<unsigned char, kStreamHeader> header{};
  sealer.state_.resize(sizeof(crypto_secretstream_xchacha20poly1305_state));
  crypto_secretstream_xchacha20poly1305_init_push(&state_of(sealer.state_), header.data(), key.data());
  sodium_memzero(key.data(), key.size());
  sealer.header_.insert(sealer.header_.end(), header.begin(), header.end());
  return sealer;
}

Bytes StreamSealer::frame(BytesView plain, bool last) {
  Bytes out(plain.size() + crypto_secretstream_xchacha20poly1305_ABYTES);
  auto const tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
  crypto_secretstream_xchacha20poly1305_push(&state_of(state_), out.data(), nullptr, plain.data(), plain.size(), nullptr, 0, static_cast<unsigned char>(tag));
  return out;
}

std::size_t StreamOpener::header_size() { return kMagic.size() + kSalt + kStreamHeader; }
std::size_t StreamOpener::frame_overhead() { return crypto_secretstream_xchacha20poly1305_ABYTES; }

Result<StreamOpener> StreamOpener::create(BytesView header, std::string_view passphrase) {
  if (header.size() != header_size() || as_text(header.first(kMagic.size())) != kMagic)
    return Error{Kind::corrupt, "not_sealed", "this is not a file that was sealed with a passphrase"};
  FLEET_TRY(auto key, derive(passphrase, header.subspan(kMagic.size(), kSalt)));
  StreamOpener opener;
  opener.state_.resize(sizeof(crypto_secretstream_xchacha20poly1305_state));
  int const ready = crypto_secretstream_xchacha20poly1305_init_pull(&state_of(opener.state_), header.data() + kMagic.size() + kSalt, key.data());
  sodium_memzero(key.data(), key.size());
  if (ready != 0) return wrong();
  return opener;
}

Result<StreamOpener::Frame> StreamOpener::open(BytesView frame) {
  if (frame.size() < frame_overhead()) return wrong();
  Frame out;
  out.plain.resize(frame.size() - frame_overhead());
  unsigned char tag = 0;
  if (crypto_secretstream_xchacha20poly1305_pull(&state_of(state_), out.plain.data(), nullptr, &tag, frame.data(), frame.size(), nullptr, 0) != 0)
    return wrong();
  out.last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
  return out;
}

}  // namespace fleet::crypto
