#include "core/net/sessions.hpp"

#include <openssl/asn1.h>

#include <algorithm>
#include <cstring>

namespace fleet::net {
namespace {

/// A device that polls and fetches has two connections, and either session may come back.
constexpr std::size_t kKeptOfOne = 4;
constexpr int kPeerField = 3;  // of SSL_SESSION_ASN1 (ssl/ssl_asn1.c): `peer [3] EXPLICIT X509 OPTIONAL`

std::string id_of(SSL_SESSION const* session) {
  unsigned length = 0;
  auto const* const id = SSL_SESSION_get_id(session, &length);
  return {reinterpret_cast<char const*>(id), length};
}

Bytes serialised(SSL_SESSION const* session) {
  int const size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0) return {};
  Bytes out(static_cast<std::size_t>(size));
  auto* at = out.data();
  i2d_SSL_SESSION(session, &at);
  return out;
}

struct Element {
  int tag = 0;
  int tag_class = 0;
  bool constructed = false;
  BytesView content, whole;
};
/// Takes the next element off `der`; nothing where there is none.
std::optional<Element> take_element(BytesView& der) {
  auto const* at = der.data();
  long length = 0;
  Element out;
  int const form = ASN1_get_object(&at, &length, &out.tag, &out.tag_class, static_cast<long>(der.size()));
  if ((form & 0x80) != 0) return std::nullopt;
  out.constructed = (form & V_ASN1_CONSTRUCTED) != 0;
  out.content = {at, static_cast<std::size_t>(length)};
  out.whole = der.first(static_cast<std::size_t>(at - der.data()) + out.content.size());
  der = der.subspan(out.whole.size());
  return out;
}

/// The session without its peer's certificate, which OpenSSL has no call to take out, and would parse again at each resumption.
Bytes without_certificate(BytesView session) {
  auto const outer = take_element(session);
  if (!outer || outer->tag != V_ASN1_SEQUENCE) return {};
  Bytes fields;
  for (auto rest = outer->content; !rest.empty();) {
    auto const field = take_element(rest);
    if (!field) return {};
    bool const is_peer = field->tag_class == V_ASN1_CONTEXT_SPECIFIC && field->tag == kPeerField;
    if (!is_peer) fields.insert(fields.end(), field->whole.begin(), field->whole.end());
  }
  auto const size = static_cast<int>(fields.size());
  Bytes out(static_cast<std::size_t>(ASN1_object_size(1, size, V_ASN1_SEQUENCE)));
  auto* at = out.data();
  ASN1_put_object(&at, 1, size, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
  std::copy(fields.begin(), fields.end(), at);
  return out;
}

/// What a session's application data holds; only this process reads it again.
struct Told {
  Digest who, key_sha256, certificate_sha256;
  std::int64_t not_after_s = 0;
  bool has_certificate = false;
};
static_assert(std::is_trivially_copyable_v<Told>);

}  // namespace

void Sessions::serve(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_get_cb(context, on_wanted);
  SSL_CTX_sess_set_remove_cb(context, on_removed);
}

void Sessions::keep(SSL* ssl, Digest const& who, Peer const& peer) {
  auto* const session = SSL_get0_session(ssl);
  if (session == nullptr || SSL_SESSION_is_resumable(session) != 1) return;
  auto id = id_of(session);
  if (id.empty()) return;
  Told const told{who, peer.key_sha256, peer.certificate_sha256, std::chrono::duration_cast<seconds>(peer.not_after.time_since_epoch()).count(), peer.has_certificate};
  std::string data(sizeof told + peer.common_name.size(), '\0');
  std::memcpy(data.data(), &told, sizeof told);
  std::copy(peer.common_name.begin(), peer.common_name.end(), data.begin() + sizeof told);
  if (SSL_SESSION_set1_ticket_appdata(session, data.data(), data.size()) != 1) return;
  auto bytes = without_certificate(serialised(session));
  if (bytes.empty()) return;
  std::lock_guard const lock(mutex_);
  if (by_id_.contains(id)) return;
  auto& ids = by_who_[who];
  if (ids.size() >= kKeptOfOne) drop(by_id_.at(ids.back()));
  order_.push_front({id, who, std::move(bytes)});
  by_id_.emplace(id, order_.begin());
  by_who_[who].push_front(std::move(id));
  if (order_.size() > kept_max_) drop(std::prev(order_.end()));
}

void Sessions::forget(Digest const& who) {
  std::lock_guard const lock(mutex_);
  for (auto found = by_who_.find(who); found != by_who_.end(); found = by_who_.find(who)) drop(by_id_.at(found->second.front()));
}

std::optional<Sessions::Resumed> Sessions::read(SSL* ssl) {
  void* data = nullptr;
  std::size_t size = 0;
  Told told;
  if (SSL_SESSION_get0_ticket_appdata(SSL_get0_session(ssl), &data, &size) != 1 || size < sizeof told) return std::nullopt;
  std::memcpy(&told, data, sizeof told);
  Resumed out;
  out.who = told.who;
  out.peer.has_certificate = told.has_certificate;
  out.peer.key_sha256 = told.key_sha256;
  out.peer.certificate_sha256 = told.certificate_sha256;
  out.peer.not_after = SysTime{seconds{told.not_after_s}};
  out.peer.common_name.assign(static_cast<char const*>(data) + sizeof told, size - sizeof told);
  return out;
}

SslPtr<SSL_SESSION> Sessions::find(std::string const& id) {
  std::lock_guard const lock(mutex_);
  auto const found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  auto const* at = found->second->session.data();
  return SslPtr<SSL_SESSION>{d2i_SSL_SESSION(nullptr, &at, static_cast<long>(found->second->session.size()))};
}

void Sessions::drop(Order::iterator kept) {
  auto const of_one = by_who_.find(kept->who);
  of_one->second.remove(kept->id);
  if (of_one->second.empty()) by_who_.erase(of_one);
  by_id_.erase(kept->id);
  order_.erase(kept);
}

SSL_SESSION* Sessions::on_wanted(SSL* ssl, unsigned char const* id, int length, int* copy) {
  auto* const sessions = static_cast<Sessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  *copy = 0;  // OpenSSL's from here on
  return sessions->find({reinterpret_cast<char const*>(id), static_cast<std::size_t>(length)}).release();
}

/// OpenSSL found it to be over, or its connection went wrong.
void Sessions::on_removed(SSL_CTX* context, SSL_SESSION* session) {
  auto* const sessions = static_cast<Sessions*>(SSL_CTX_get_app_data(context));
  std::lock_guard const lock(sessions->mutex_);
  if (auto const found = sessions->by_id_.find(id_of(session)); found != sessions->by_id_.end()) sessions->drop(found->second);
}

}  // namespace fleet::net
