#include "core/crypto/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <new>
#include <stdexcept>
#include <vector>

namespace fleet::crypto {
namespace {

constexpr std::size_t kPiece = 1024 * 1024;

void must(int ok) {
  if (ok != 1) throw std::runtime_error("OpenSSL: digest failed");
}

/// Fetched once: EVP_sha256() is looked up anew, behind a lock, by every hash that begins.
EVP_MD const* md_of_sha256() {
  static EVP_MD const* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (md == nullptr) throw std::runtime_error("OpenSSL: no SHA-256");
  return md;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(State const&) = delete;
  State& operator=(State const&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr) throw std::bad_alloc();
  must(EVP_DigestInit_ex(state_->context, md_of_sha256(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(BytesView bytes) { must(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size())); }

Digest Sha256::finish() {
  Digest out;
  must(EVP_DigestFinal_ex(state_->context, out.bytes.data(), nullptr));
  return out;
}

Digest sha256(BytesView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Digest hmac_sha256(BytesView key, BytesView message) {
  Digest out;
  if (HMAC(md_of_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(), out.bytes.data(), nullptr) == nullptr)
    throw std::runtime_error("OpenSSL: no HMAC");
  return out;
}

std::string sha512_hex(BytesView bytes) {
  std::array<std::uint8_t, 64> out{};
  must(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha512(), nullptr));
  return to_hex(out);
}

Result<FileDigest> sha256_file(Fs& fs, std::string const& path, std::atomic<bool> const* stop) {
  FLEET_TRY(auto const file, fs.open(path, Fs::Mode::read));
  Sha256 hash;
  FileDigest out;
  Bytes piece(kPiece);
  for (;;) {
    if (stop != nullptr && *stop) return Error{Kind::unavailable, "interrupted", path + ": something else is wanted meanwhile"};
    FLEET_TRY(auto const n, file->read_at(out.size, piece));
    if (n == 0) break;
    hash.update(BytesView(piece).first(n));
    out.size += n;
  }
  out.sha256 = hash.finish();
  return out;
}

bool equal_secrets(BytesView a, BytesView b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace fleet::crypto
