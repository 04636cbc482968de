#include "core/crypto/key_files.hpp"

#include "core/crypto/sealed.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <stdexcept>

namespace fleet::crypto {
namespace {

constexpr unsigned kOwnerOnly = 0600;
constexpr std::uint64_t kFileBytesMax = 64 * 1024;
constexpr std::string_view kMagic = "fleet-key-1\n";
constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;

Error not_sealed(std::string_view what) {
  return {Kind::bad_input, "keys_not_sealed", fmt::format("a passphrase was given, and {} is not there: these keys are not sealed", what),
          "seal them: fleet-server keys seal, or leave --passphrase-file out"};
}

}  // namespace

/// 32 bytes, wiped on destruction.
class KeyFiles::Master {
public:
  static constexpr std::size_t kBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
  explicit Master(BytesView bytes) { std::copy(bytes.begin(), bytes.end(), key_.begin()); }
  ~Master() { sodium_memzero(key_.data(), key_.size()); }
  Master(Master const&) = delete;
  Master& operator=(Master const&) = delete;
  [[nodiscard]] BytesView bytes() const { return key_; }

  [[nodiscard]] std::string seal(std::string_view plain, Random& random) const {
    std::string out(kMagic);
    out.resize(kMagic.size() + kNonce + plain.size() + kTag);
    auto* const nonce = reinterpret_cast<unsigned char*>(out.data()) + kMagic.size();
    random.fill({nonce, kNonce});
    auto const* const text = reinterpret_cast<unsigned char const*>(plain.data());
    crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + kNonce, nullptr, text, plain.size(), nullptr, 0, nullptr, nonce, key_.data());
    return out;
  }
  /// Nothing where the bytes were changed or belong to another master key.
  [[nodiscard]] std::optional<std::string> unseal(std::string_view sealed) const {
    sealed.remove_prefix(kMagic.size());
    if (sealed.size() < kNonce + kTag) return std::nullopt;
    std::string out(sealed.size() - kNonce - kTag, '\0');
    auto const* const nonce = reinterpret_cast<unsigned char const*>(sealed.data());
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(out.data()), nullptr, nullptr, nonce + kNonce, sealed.size() - kNonce,
                                                   nullptr, 0, nonce, key_.data()) != 0)
      return std::nullopt;
    return out;
  }

private:
  std::array<std::uint8_t, kBytes> key_{};
};

Result<KeyFiles> KeyFiles::open(Fs& fs, Random& random, std::string const& master_file, std::optional<std::string> const& passphrase) {
  KeyFiles out(fs, random);
  auto const text = fs.read(master_file, kFileBytesMax);
  if (!text && text.error().kind != Kind::not_found) return text.error();
  if (!text && passphrase) return not_sealed(master_file);
  if (!text) return out;
  if (!passphrase)
    return Error{Kind::unauthenticated, "passphrase_needed", fmt::format("the private keys are sealed ({})", master_file), "--passphrase-file FILE"};
  FLEET_TRY(auto bytes, unseal(as_bytes(*text), *passphrase));
  if (bytes.size() != Master::kBytes)
    return Error{Kind::corrupt, "key_damaged", fmt::format("{} holds {} bytes, a master key has {}", master_file, bytes.size(), Master::kBytes), "restore it"};
  out.master_ = std::make_shared<Master const>(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return out;
}

Result<KeyFiles> KeyFiles::create(Fs& fs, Random& random, std::string const& master_file, std::string_view passphrase) {
  if (fs.info(master_file))
    return Error{Kind::conflict, "keys_sealed", fmt::format("{} is there already", master_file), "fleet-server keys passphrase gives it another passphrase"};
  std::array<std::uint8_t, Master::kBytes> bytes{};
  random.fill(bytes);
  KeyFiles out(fs, random);
  out.master_ = std::make_shared<Master const>(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  FLEET_CHECK(out.change_passphrase(master_file, passphrase));
  return out;
}

Result<std::string> KeyFiles::read(std::string const& path) const {
  FLEET_TRY(auto text, fs_.read(path, kFileBytesMax));
  bool const is_sealed = text.starts_with(kMagic);
  if (!is_sealed && !master_) return text;
  if (!is_sealed)
    return Error{Kind::conflict, "key_not_sealed", fmt::format("{} lies there unsealed among sealed keys", path),
                 "if it is yours, seal it: fleet-server keys seal"};
  if (!master_)
    return Error{Kind::unauthenticated, "passphrase_needed", fmt::format("{} is sealed, and the master key that opens it is not there", path),
                 "restore keys/master.sealed from a backup"};
  if (auto plain = master_->unseal(text)) return *std::move(plain);
  return Error{Kind::corrupt, "key_damaged", fmt::format("{} was changed, or sealed with another master key", path), "restore it from a backup"};
}

Result<void> KeyFiles::write(std::string const& path, std::string_view content) const {
  return fs_.replace(path, master_ ? master_->seal(content, random_) : std::string(content), kOwnerOnly);
}

Result<bool> KeyFiles::seal_plain(std::string const& path) const {
  FLEET_TRY(auto const text, fs_.read(path, kFileBytesMax));
  if (text.starts_with(kMagic)) {
    FLEET_CHECK(read(path));
    return false;
  }
  FLEET_CHECK(write(path, text));
  return true;
}

Result<void> KeyFiles::change_passphrase(std::string const& master_file, std::string_view passphrase) const {
  if (!master_) return Error{Kind::conflict, "keys_not_sealed", "these keys are not sealed", "fleet-server keys seal"};
  FLEET_TRY(auto const sealed, seal(master_->bytes(), passphrase, random_));
  return fs_.replace(master_file, as_text(sealed), kOwnerOnly);
}

}  // namespace fleet::crypto
