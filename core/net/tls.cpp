#include "core/net/tls.hpp"

#include "core/crypto/certificates.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/private_key.hpp"

#include <fmt/format.h>
#include <openssl/err.h>

#include <ctime>
#include <optional>

namespace fleet::net {
namespace {

constexpr char kTls12Ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// AES-128 first: its hash is SHA-256, which a handshake computes over and over, and processors have an instruction for (a sixth of a resumed handshake).
constexpr char kTls13Ciphers[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
/// What a client offers. OpenSSL's own lists, with DSA, SHA-224 and finite fields of 8,192 bits in them, are 40 bytes more, which a device that polls by short
/// connections sends 128 times a day.
constexpr char kClientGroups[] = "X25519:P-256:P-384:P-521";
constexpr char kClientSignatures[] =
    "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";
constexpr char kAlpnHttp11[] = "\x08http/1.1";
constexpr long kPeerCertificateBytesMax = 16 * 1024;
constexpr long kSessionSeconds = 24 * 3600;

Error bad_pem(std::string_view what) { return {Kind::bad_input, "bad_certificate", fmt::format("{}: {}", what, take_ssl_errors()), "expected PEM"}; }

SslPtr<BIO> memory_of(std::string const& pem) { return SslPtr<BIO>{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))}; }

/// Keys with a pass phrase are not asked for at a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

std::vector<SslPtr<X509>> read_certificates(std::string const& pem) {
  std::vector<SslPtr<X509>> out;
  auto const bio = memory_of(pem);
  while (auto* const certificate = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) out.emplace_back(certificate);
  // The end of the text is an error of OpenSSL's; a broken certificate shows as one too few.
  ERR_clear_error();
  return out;
}

Result<void> use_certificate(SSL_CTX* context, std::string const& chain_pem, crypto::PrivateKey const& key) {
  auto const chain = read_certificates(chain_pem);
  if (chain.empty()) return bad_pem("no certificate in the text");
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return bad_pem("certificate");
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return bad_pem("chain");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) return bad_pem("private key");
  if (SSL_CTX_check_private_key(context) != 1) return bad_pem("the private key is not the certificate's");
  return {};
}

/// @param properties  of the key that signs in the handshake; may be null
Result<SslPtr<SSL_CTX>> make_context(SSL_METHOD const* method, char const* properties) {
  ERR_clear_error();
  SslPtr<SSL_CTX> context{SSL_CTX_new_ex(nullptr, properties, method)};
  if (!context) return Error{Kind::internal, "tls_setup", take_ssl_errors()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), kTls12Ciphers);
  SSL_CTX_set_ciphersuites(context.get(), kTls13Ciphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Two read(2) a record, one for its header, become one.
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_max_cert_list(context.get(), kPeerCertificateBytesMax);
  return context;
}

/// Whether each certificate is valid now, by the clock of the one who connects, not by OpenSSL's, which may end in 2038 (crypto::time_fault).
/// A device whose clock lags sees every certificate as not yet valid; expiry is still judged (protocol.md, Time).
template <bool kPardonsEarly>
int judge_time(int ok, X509_STORE_CTX* store) {
  if (ok != 1) return ok;
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto const& clock = *static_cast<Clock const*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  int const fault = crypto::time_fault(X509_STORE_CTX_get_current_cert(store), clock.wall());
  if (fault == X509_V_OK || (kPardonsEarly && fault == X509_V_ERR_CERT_NOT_YET_VALID)) return 1;
  X509_STORE_CTX_set_error(store, fault);
  return 0;
}

/// Who a device is, is decided by its key at every request (protocol.md); the handshake only proves that it holds that key.
int accept_any_certificate(X509_STORE_CTX* store, void*) {
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

int choose_http11(SSL*, unsigned char const** out, unsigned char* out_length, unsigned char const* in, unsigned in_length, void*) {
  unsigned char* chosen = nullptr;
  auto const* const ours = reinterpret_cast<unsigned char const*>(kAlpnHttp11);
  if (SSL_select_next_proto(&chosen, out_length, ours, sizeof kAlpnHttp11 - 1, in, in_length) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

SysTime time_of(ASN1_TIME const* at) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(at, &parts) != 1) return {};
  return SysTime{seconds{::timegm(&parts)}};
}

}  // namespace

std::string take_ssl_errors() {
  std::string out;
  while (auto const code = ERR_get_error()) {
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    if (!out.empty()) out += "; ";
    out += text;
  }
  return out.empty() ? "no further reason given" : out;
}

Result<SslPtr<SSL_CTX>> make_client_context(ClientConfig const& config, Clock const* clock) {
  std::optional<crypto::PrivateKey> key;
  if (!config.certificate_pem.empty()) {
    FLEET_TRY(key, crypto::PrivateKey::load(config.private_key_pem));
  }
  crypto::KeyDeviceTurn const turn(key && key->is_in_device());
  FLEET_TRY(auto context, make_context(TLS_client_method(), key ? key->properties() : nullptr));
  SSL_CTX_set_app_data(context.get(), const_cast<Clock*>(clock));  // OpenSSL keeps pointers to what it might change
  auto const anchors = read_certificates(config.ca_pem);
  if (anchors.empty() && !config.ca_pem.empty()) return bad_pem("no CA certificate in the text");
  auto* const store = SSL_CTX_get_cert_store(context.get());
  for (auto const& anchor : anchors)
    if (X509_STORE_add_cert(store, anchor.get()) != 1) return bad_pem("CA certificate");
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  SSL_CTX_set_verify(context.get(), config.trust_any_server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, config.ignore_not_before ? judge_time<true> : judge_time<false>);
  if (key) FLEET_CHECK(use_certificate(context.get(), config.certificate_pem, *key));
  // What a TPM's provider does not know of them would refuse the whole list.
  bool const offers_own = !key || !key->is_in_device();
  if (offers_own && (SSL_CTX_set1_groups_list(context.get(), kClientGroups) != 1 || SSL_CTX_set1_sigalgs_list(context.get(), kClientSignatures) != 1))
    return Error{Kind::internal, "tls_setup", take_ssl_errors()};
  SSL_CTX_set_options(context.get(), SSL_OP_NO_ENCRYPT_THEN_MAC);  // of ciphers that are not offered
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<unsigned char const*>(kAlpnHttp11), sizeof kAlpnHttp11 - 1);
  return context;
}

Result<SslPtr<SSL_CTX>> make_server_context(ListenerConfig const& config) {
  FLEET_TRY(auto const key, crypto::PrivateKey::load(config.private_key_pem));
  FLEET_TRY(auto context, make_context(TLS_server_method(), key.properties()));
  FLEET_CHECK(use_certificate(context.get(), config.certificate_pem, key));
  // Sessions live in our memory and tickets are mere keys to them: a stolen ticket key opens nothing, and resuming costs a sixth of a
  // stateless ticket, because no certificate is parsed again.
  // A peer that is gone without a word keeps its session: links break, and OpenSSL would forget it as after an attack. HTTP's lengths say where
  // a request ends.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // whoever keeps sessions says so (sessions.hpp)
  SSL_CTX_set_timeout(context.get(), kSessionSeconds);
  auto const session_context = crypto::sha256(config.name + "\n" + config.certificate_pem);
  SSL_CTX_set_session_id_context(context.get(), session_context.bytes.data(), static_cast<unsigned>(session_context.bytes.size()));
  SSL_CTX_set_alpn_select_cb(context.get(), choose_http11, nullptr);
  if (!config.request_client_certificate) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), accept_any_certificate, nullptr);
  auto const authorities = read_certificates(config.client_ca_names_pem);
  if (authorities.empty() && !config.client_ca_names_pem.empty()) return bad_pem("no CA certificate among the names for clients");
  for (auto const& authority : authorities) SSL_CTX_add_client_CA(context.get(), authority.get());
  return context;
}

void read_peer_certificate(SSL* ssl, Peer& peer, bool keep) {
  auto* const certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return;
  auto const key = crypto::key_digest(X509_get_X509_PUBKEY(certificate));
  if (!key) return;
  peer.key_sha256 = *key;
  unsigned length = 0;
  if (X509_digest(certificate, EVP_sha256(), peer.certificate_sha256.bytes.data(), &length) != 1) return;
  char name[256] = {};
  auto const name_length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  if (name_length > 0) peer.common_name.assign(name, static_cast<std::size_t>(name_length));
  peer.not_after = time_of(X509_get0_notAfter(certificate));
  unsigned char* whole = nullptr;
  if (int const size = keep ? i2d_X509(certificate, &whole) : 0; size > 0) peer.certificate.assign(whole, whole + size);
  OPENSSL_free(whole);
  peer.has_certificate = true;
}

}  // namespace fleet::net
