#include "cli/signing/signing_keys.hpp"

#include "core/crypto/sealed.hpp"
#include "cli/signing/token_key.hpp"
#include "core/trust/audit_chain.hpp"

#include <fmt/format.h>

namespace fleet::cli {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 * 1024;
constexpr std::size_t kPassphraseMin = 12;

Result<std::string> read_passphrase(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kFileBytesMax));
  auto line = text.substr(0, text.find_first_of("\r\n"));
  if (line.size() >= kPassphraseMin) return line;
  return Error{Kind::bad_input, "short_passphrase", fmt::format("the first line of {} has {} characters, {} are the least", path, line.size(), kPassphraseMin)};
}

Result<crypto::SigningKey> parse_seed(std::string const& path, std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  auto const seed = from_hex(text);
  if (seed && seed->size() == crypto::SigningKey::kSeedBytes) return crypto::SigningKey::from_seed(*seed);
  return Error{Kind::bad_input, "bad_key_file", fmt::format("{} is no key file: expected 64 hex characters, or the same sealed", path),
               "fleetctl trust offline keygen makes one"};
}

Result<trust::Signer> load_file(Fs& fs, std::string const& path, std::string const& passphrase_file) {
  FLEET_TRY(auto text, fs.read(path, kFileBytesMax));
  if (crypto::is_sealed(as_bytes(text))) {
    if (passphrase_file.empty()) return Error{Kind::unauthenticated, "passphrase_needed", path + " is sealed by a passphrase", "--passphrase-file FILE"};
    FLEET_TRY(auto const passphrase, read_passphrase(fs, passphrase_file));
    FLEET_TRY(auto const plain, crypto::unseal(as_bytes(text), passphrase));
    text = std::string(as_text(plain));
  }
  FLEET_TRY(auto const key, parse_seed(path, text));
  return trust::as_signer(key);
}

Result<trust::Signer> open_in_token(Fs& fs, std::string const& uri) {
  FLEET_TRY(auto const key, pkcs11::Key::open(uri, fs));
  return trust::Signer{crypto::key_id(key.public_key()), [key](BytesView message) { return key.sign(message); }};
}

}  // namespace

Result<crypto::PublicKey> make_signing_key(Fs& fs, Random& random, std::string const& path, std::string const& passphrase_file) {
  for (auto const& name : {path, path + ".pub"})
    if (fs.info(name)) return Error{Kind::conflict, "file_exists", name + " is there already", "name another file: a key is never replaced"};
  auto const key = crypto::SigningKey::generate(random);
  auto content = to_hex(key.seed()) + "\n";
  if (!passphrase_file.empty()) {
    FLEET_TRY(auto const passphrase, read_passphrase(fs, passphrase_file));
    FLEET_TRY(auto const sealed, crypto::seal(as_bytes(content), passphrase, random));
    content = std::string(as_text(sealed));
  }
  FLEET_CHECK(fs.replace(path, content, 0600));
  FLEET_CHECK(fs.replace(path + ".pub", trust::encode(key.public_key()) + "\n"));
  return key.public_key();
}

Result<std::vector<trust::Signer>> load_signing_keys(Fs& fs, std::vector<std::string> const& keys, std::string const& passphrase_file) {
  std::vector<trust::Signer> out;
  for (auto const& key : keys) {
    FLEET_TRY(auto signer, pkcs11::is_uri(key) ? open_in_token(fs, key) : load_file(fs, key, passphrase_file));
    out.push_back(std::move(signer));
  }
  return out;
}

Result<crypto::PublicKey> export_public_key(Fs& fs, std::string const& uri, std::string const& path) {
  if (!pkcs11::is_uri(uri))
    return Error{Kind::bad_input, "bad_argument", fmt::format("{} is no PKCS #11 URI", uri), "the public half of a key file is FILE.pub, beside it"};
  if (fs.info(path)) return Error{Kind::conflict, "file_exists", path + " is there already", "name another file"};
  FLEET_TRY(auto const key, pkcs11::Key::open(uri, fs));
  FLEET_CHECK(fs.replace(path, trust::encode(key.public_key()) + "\n"));
  return key.public_key();
}

Result<crypto::PublicKey> load_public_key(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kFileBytesMax));
  auto key = trust::decode_public_key(text);
  if (key) return key;
  return Error{Kind::bad_input, "bad_key_file", fmt::format("{}: {}", path, key.error().detail), "expected the .pub file of trust offline keygen"};
}

}  // namespace fleet::cli
