#include "cli/signing/token_key.hpp"

#include "core/crypto/ecdsa.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace fleet::pkcs11 {
namespace {

constexpr std::string_view kScheme = "pkcs11:";
constexpr std::uint64_t kPinBytesMax = 4'096;
constexpr std::size_t kEd25519Bytes = 32, kPointBytes = 65, kSignatureBytes = 64;
constexpr std::uint8_t kOctetString = 0x04;

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using UriPtr = std::unique_ptr<P11KitUri, Freer<p11_kit_uri_free>>;
/// Loaded and initialised; a null pointer ends the list.
using ModulesPtr = std::unique_ptr<CK_FUNCTION_LIST_PTR, Freer<p11_kit_modules_finalize_and_release>>;

Error bad_uri(std::string detail) {
  return {Kind::bad_input, "bad_key_uri", std::move(detail), "RFC 7512: pkcs11:token=LABEL;object=LABEL?pin-source=file:/PATH"};
}
Error failed(std::string_view doing, CK_RV code) { return {Kind::unavailable, "key_device", fmt::format("{}: {}", doing, p11_kit_strerror(code))}; }

Result<UriPtr> parse_uri(std::string const& text) {
  UriPtr uri(p11_kit_uri_new());
  if (int const code = p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_ANY, uri.get()); code != P11_KIT_URI_OK) return bad_uri(p11_kit_uri_message(code));
  // What no part understands matches nothing, which would read as a key that is not there.
  if (p11_kit_uri_any_unrecognized(uri.get()) != 0) return bad_uri("the URI has a part that is not known");
  if (p11_kit_uri_get_pin_value(uri.get()) != nullptr)
    return bad_uri("a PIN does not belong into a URI, where others can read it: name the file that holds it as pin-source");
  return uri;
}

Result<ModulesPtr> load_modules(P11KitUri* uri) {
  auto const* const path = p11_kit_uri_get_module_path(uri);
  if (path == nullptr) {
    ModulesPtr all(p11_kit_modules_load_and_initialize(0));
    if (all) return all;
    return Error{Kind::unavailable, "key_device", fmt::format("no PKCS #11 module loads: {}", p11_kit_message())};
  }
  auto* const one = p11_kit_module_load(path, 0);
  if (one == nullptr) return Error{Kind::unavailable, "key_device", fmt::format("{} does not load: {}", path, p11_kit_message())};
  if (CK_RV const code = p11_kit_module_initialize(one); code != CKR_OK) {
    p11_kit_module_release(one);
    return failed(fmt::format("{} does not start", path), code);
  }
  // p11_kit_modules_finalize_and_release frees the list, with free(3).
  auto** const list = static_cast<CK_FUNCTION_LIST_PTR*>(std::calloc(2, sizeof(CK_FUNCTION_LIST_PTR)));
  list[0] = one;
  return ModulesPtr(list);
}

struct Token {
  CK_FUNCTION_LIST_PTR module = nullptr;
  CK_SLOT_ID slot = 0;
  bool needs_login = false;
};

std::vector<CK_SLOT_ID> slots_of(CK_FUNCTION_LIST_PTR module) {
  CK_ULONG count = 0;
  if (module->C_GetSlotList(CK_TRUE, nullptr, &count) != CKR_OK) return {};
  std::vector<CK_SLOT_ID> slots(count);
  // One that was pulled out in between makes it fewer; one that was put in is not waited for.
  if (module->C_GetSlotList(CK_TRUE, slots.data(), &count) != CKR_OK) return {};
  slots.resize(std::min<std::size_t>(slots.size(), count));
  return slots;
}

bool fits(P11KitUri* uri, CK_FUNCTION_LIST_PTR module, CK_SLOT_ID slot, CK_TOKEN_INFO& token) {
  CK_INFO library{};
  CK_SLOT_INFO where{};
  return module->C_GetInfo(&library) == CKR_OK && p11_kit_uri_match_module_info(uri, &library) == 1 &&  //
         module->C_GetSlotInfo(slot, &where) == CKR_OK && p11_kit_uri_match_slot_info(uri, &where) == 1 && module->C_GetTokenInfo(slot, &token) == CKR_OK &&
         (token.flags & CKF_TOKEN_INITIALIZED) != 0 && p11_kit_uri_match_token_info(uri, &token) == 1;
}

/// @param modules  ended by a null pointer
Result<Token> find_token(CK_FUNCTION_LIST_PTR const* modules, P11KitUri* uri, std::string const& text) {
  std::vector<Token> found;
  for (; *modules != nullptr; ++modules)
    for (auto const slot : slots_of(*modules)) {
      CK_TOKEN_INFO token{};
      if (fits(uri, *modules, slot, token)) found.push_back({*modules, slot, (token.flags & CKF_LOGIN_REQUIRED) != 0});
    }
  if (found.size() == 1) return found[0];
  if (found.size() > 1) return bad_uri(fmt::format("{} fits {} tokens: name one by token=, serial= or module-path=", text, found.size()));
  return Error{Kind::unavailable, "key_device", fmt::format("no token is there that {} names", text), "p11-kit list-tokens shows those that are"};
}

Result<std::string> read_pin(P11KitUri* uri, Fs& fs) {
  auto const* const source = p11_kit_uri_get_pin_source(uri);
  if (source == nullptr)
    return Error{Kind::unauthenticated, "pin_needed", "the token wants a PIN", "add ?pin-source=file:/PATH to the URI: the first line of that file"};
  auto path = std::string_view(source);
  if (path.starts_with("file:")) path.remove_prefix(5);
  if (path.starts_with("//")) path.remove_prefix(2);
  FLEET_TRY(auto const content, fs.read(std::string(path), kPinBytesMax));
  return content.substr(0, content.find_first_of("\r\n"));
}

}  // namespace

bool is_uri(std::string_view text) { return text.starts_with(kScheme); }

/// One session with the token, logged in, and the key it is for.
class Key::Session {
public:
  Session(ModulesPtr modules, Token token) : modules_(std::move(modules)), module_(token.module) {}
  Session(Session const&) = delete;
  Session& operator=(Session const&) = delete;
  ~Session() {
    if (session_ != 0) module_->C_CloseSession(session_);
  }

  Result<void> open(Token const& token, P11KitUri* uri, Fs& fs);
  /// The private key that the URI names, then its public half. @returns the latter
  Result<crypto::PublicKey> find_key(P11KitUri* uri, std::string const& text);
  Result<Bytes> sign(BytesView message);

private:
  Result<void> login(CK_USER_TYPE who);
  Result<std::vector<CK_OBJECT_HANDLE>> find(std::vector<CK_ATTRIBUTE> wanted);
  Result<Bytes> attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

  ModulesPtr modules_;
  CK_FUNCTION_LIST_PTR module_;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
  CK_KEY_TYPE type_ = CKK_EC;
  bool asks_each_time_ = false;
  std::string pin_;
};

Result<void> Key::Session::login(CK_USER_TYPE who) {
  CK_RV const code = module_->C_Login(session_, who, reinterpret_cast<CK_UTF8CHAR_PTR>(pin_.data()), pin_.size());
  if (code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN) return {};
  bool const wrong = code == CKR_PIN_INCORRECT || code == CKR_PIN_LEN_RANGE || code == CKR_PIN_INVALID || code == CKR_PIN_LOCKED || code == CKR_PIN_EXPIRED;
  if (!wrong) return failed("login", code);
  return Error{Kind::unauthenticated, "wrong_pin", fmt::format("the token refuses the PIN: {}", p11_kit_strerror(code)),
               "most tokens lock themselves after a few wrong ones"};
}

Result<void> Key::Session::open(Token const& token, P11KitUri* uri, Fs& fs) {
  if (CK_RV const code = module_->C_OpenSession(token.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session_); code != CKR_OK)
    return failed("a session with the token", code);
  if (!token.needs_login) return {};
  FLEET_TRY(pin_, read_pin(uri, fs));
  return login(CKU_USER);
}

Result<std::vector<CK_OBJECT_HANDLE>> Key::Session::find(std::vector<CK_ATTRIBUTE> wanted) {
  CK_RV code = module_->C_FindObjectsInit(session_, wanted.data(), wanted.size());
  if (code != CKR_OK) return failed("looking for the key", code);
  std::vector<CK_OBJECT_HANDLE> found(2);
  CK_ULONG count = 0;
  code = module_->C_FindObjects(session_, found.data(), found.size(), &count);
  module_->C_FindObjectsFinal(session_);
  if (code != CKR_OK) return failed("looking for the key", code);
  found.resize(count);
  return found;
}

Result<Bytes> Key::Session::attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  Bytes value(1'024);
  CK_ATTRIBUTE asked{type, value.data(), value.size()};
  if (CK_RV const code = module_->C_GetAttributeValue(session_, object, &asked, 1); code != CKR_OK) return failed("reading the key's attributes", code);
  if (asked.ulValueLen > value.size()) return failed("reading the key's attributes", CKR_ATTRIBUTE_VALUE_INVALID);
  value.resize(asked.ulValueLen);
  return value;
}

Result<crypto::PublicKey> Key::Session::find_key(P11KitUri* uri, std::string const& text) {
  CK_OBJECT_CLASS kind = CKO_PRIVATE_KEY;
  CK_ULONG count = 0;
  auto const* const named = p11_kit_uri_get_attributes(uri, &count);
  std::vector<CK_ATTRIBUTE> wanted{{CKA_CLASS, &kind, sizeof kind}};
  for (CK_ULONG i = 0; i < count; ++i)
    if (named[i].type != CKA_CLASS) wanted.push_back(named[i]);
  FLEET_TRY(auto const keys, find(wanted));
  if (keys.empty()) return Error{Kind::not_found, "no_key", fmt::format("the token has no private key that {} names", text), "pkcs11-tool --list-objects"};
  if (keys.size() > 1) return bad_uri(text + " fits several keys: name one by object= or id=");
  key_ = keys[0];

  FLEET_TRY(auto const type, attribute(key_, CKA_KEY_TYPE));
  if (type.size() == sizeof type_) std::copy(type.begin(), type.end(), reinterpret_cast<std::uint8_t*>(&type_));
  // Cards ask for the PIN before each signature of some keys; those that do not know the attribute do not.
  auto const each_time = attribute(key_, CKA_ALWAYS_AUTHENTICATE);
  asks_each_time_ = each_time && !each_time->empty() && each_time->front() != CK_FALSE;
  if (type_ != CKK_EC && type_ != CKK_EC_EDWARDS) return Error{Kind::bad_input, "bad_key", fmt::format("{} is neither Ed25519 nor ECDSA P-256", text)};

  FLEET_TRY(auto id, attribute(key_, CKA_ID));
  kind = CKO_PUBLIC_KEY;
  FLEET_TRY(auto const halves, find({{CKA_CLASS, &kind, sizeof kind}, {CKA_ID, id.data(), id.size()}}));
  if (id.empty() || halves.size() != 1)
    return Error{Kind::not_found, "no_key", fmt::format("the token has {} public keys with the CKA_ID of {}, expected 1", halves.size(), text)};
  FLEET_TRY(auto point, attribute(halves[0], CKA_EC_POINT));
  // An OCTET STRING around the point (PKCS #11 3.0, 2.3.3); some tokens leave it out.
  std::size_t const bare = type_ == CKK_EC ? kPointBytes : kEd25519Bytes;
  if (point.size() == bare + 2 && point[0] == kOctetString && point[1] == bare) point.erase(point.begin(), point.begin() + 2);
  if (point.size() != bare) return Error{Kind::bad_input, "bad_key", fmt::format("{} is neither Ed25519 nor ECDSA P-256", text)};
  if (type_ == CKK_EC) return crypto::p256_key(point);
  return crypto::PublicKey{"ed25519", "ed25519", to_hex(point)};
}

Result<Bytes> Key::Session::sign(BytesView message) {
  bool const ecdsa = type_ == CKK_EC;
  CK_MECHANISM mechanism{ecdsa ? CKM_ECDSA : CKM_EDDSA, nullptr, 0};
  Bytes signed_bytes(message.begin(), message.end());
  if (ecdsa) {
    auto const digest = crypto::sha256(message);
    signed_bytes.assign(digest.bytes.begin(), digest.bytes.end());
  }
  CK_RV code = module_->C_SignInit(session_, &mechanism, key_);
  if (code != CKR_OK) return failed("signing", code);
  if (asks_each_time_) FLEET_CHECK(login(CKU_CONTEXT_SPECIFIC));
  Bytes out(kSignatureBytes);
  CK_ULONG size = out.size();
  code = module_->C_Sign(session_, signed_bytes.data(), signed_bytes.size(), out.data(), &size);
  if (code != CKR_OK) return failed("signing", code);
  out.resize(size);
  return ecdsa ? crypto::ecdsa_der(out) : Result<Bytes>(std::move(out));
}

Result<Key> Key::open(std::string const& text, Fs& fs) {
  FLEET_TRY(auto const uri, parse_uri(text));
  FLEET_TRY(auto modules, load_modules(uri.get()));
  FLEET_TRY(auto const token, find_token(modules.get(), uri.get(), text));
  auto session = std::make_shared<Session>(std::move(modules), token);
  FLEET_CHECK(session->open(token, uri.get(), fs));
  FLEET_TRY(auto public_key, session->find_key(uri.get(), text));
  return Key(std::move(session), std::move(public_key));
}

Result<Bytes> Key::sign(BytesView message) const {
  FLEET_TRY(auto signature, session_->sign(message));
  FLEET_CHECK(crypto::verify(public_key_, message, signature));
  return signature;
}

}  // namespace fleet::pkcs11
