#include "core/trust/audit_chain.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/canonical.hpp"
#include "core/trust/dsse.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::size_t kEntryBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kEd25519Bytes = 32;
constexpr std::size_t kSmallBytesMax = 16 * 1024;

Error no_entry(std::string_view what) {
  return {Kind::bad_input, "bad_audit_entry", fmt::format("no audit entry: {}", what), "an export is one JSON object a line"};
}

/// A hash that is not one reads as nothing.
std::optional<Digest> digest_at(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  auto const parsed = Digest::parse(value->get_string());
  return parsed ? std::optional(*parsed) : std::nullopt;
}

std::optional<SysTime> time_at(json::object const& object) {
  auto const* const value = object.if_contains("time");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  auto const parsed = parse_rfc3339(value->get_string());
  return parsed ? std::optional(*parsed) : std::nullopt;
}

json::value shown(std::string const& text) {
  if (text.empty()) return nullptr;
  boost::system::error_code fault;
  auto value = json::parse(text, fault);
  return fault ? json::value(text) : value;
}

std::string short_hex(Digest const& digest) { return digest.hex().substr(0, 16); }

}  // namespace

Digest audit_hash(AuditEntry const& entry) {
  std::string covered(as_text(entry.prev.bytes));
  covered += fmt::format("{}:{}:", entry.seq, entry.time_ms);
  for (auto const* const field : {&entry.actor, &entry.action, &entry.subject, &entry.before, &entry.after, &entry.reason, &entry.request_id})
    covered += fmt::format("{}:{}", field->size(), *field);
  return crypto::sha256(covered);
}

std::string encode(AuditEntry const& entry) {
  return json::serialize(json::object{{"seq", entry.seq},
                                      {"time", to_rfc3339(from_unix_ms(entry.time_ms), true)},
                                      {"actor", entry.actor},
                                      {"action", entry.action},
                                      {"subject", entry.subject},
                                      {"before", shown(entry.before)},
                                      {"after", shown(entry.after)},
                                      {"reason", entry.reason},
                                      {"request_id", entry.request_id},
                                      {"prev", entry.prev.hex()},
                                      {"hash", entry.hash.hex()}});
}

Result<AuditEntry> decode_audit_entry(std::string_view text) {
  if (text.size() > kEntryBytesMax) return Error{Kind::too_large, "too_large", fmt::format("an audit entry of {} bytes", text.size())};
  boost::system::error_code fault;
  auto const value = json::parse(json::string_view(text.data(), text.size()), fault);
  auto const* const object = fault ? nullptr : value.if_object();
  if (object == nullptr) return no_entry("not a JSON object");
  AuditEntry out;
  for (auto const& [key, field] : {std::pair{"actor", &out.actor}, std::pair{"action", &out.action}, std::pair{"subject", &out.subject},
                                   std::pair{"reason", &out.reason}, std::pair{"request_id", &out.request_id}}) {
    auto const* const member = object->if_contains(key);
    if (member == nullptr || !member->is_string()) return no_entry(fmt::format("'{}' is no text", key));
    *field = std::string(member->get_string());
  }
  for (auto const& [key, field] : {std::pair{"before", &out.before}, std::pair{"after", &out.after}})
    if (auto const* const member = object->if_contains(key); member != nullptr && !member->is_null()) *field = json::serialize(*member);
  auto const* const seq = object->if_contains("seq");
  auto const at = time_at(*object);
  auto const prev = digest_at(*object, "prev"), hash = digest_at(*object, "hash");
  if (seq == nullptr || !seq->is_int64() || !at || !prev || !hash) return no_entry("seq, time, prev and hash are required");
  out.seq = seq->get_int64();
  out.time_ms = to_unix_ms(*at);
  out.prev = *prev;
  out.hash = *hash;
  return out;
}

std::string sign_checkpoint(Checkpoint const& checkpoint, crypto::SigningKey const& key) {
  auto const payload = canonical(json::object{{"hash", checkpoint.hash.hex()}, {"seq", checkpoint.seq}, {"time", to_rfc3339(checkpoint.time)}});
  return make_envelope(kCheckpointType, as_bytes(payload), {&key, 1});
}

Result<Checkpoint> open_checkpoint(std::string_view envelope, crypto::PublicKey const& key) {
  FLEET_TRY(auto const payload, open_envelope(as_bytes(envelope), kCheckpointType, {{{crypto::key_id(key), key}}, 1}, kSmallBytesMax));
  FLEET_TRY(auto const value, parse_strict(payload, kSmallBytesMax));
  auto const* const object = value.if_object();
  auto const* const seq = object == nullptr ? nullptr : object->if_contains("seq");
  auto const hash = object == nullptr ? std::nullopt : digest_at(*object, "hash");
  auto const at = object == nullptr ? std::nullopt : time_at(*object);
  if (seq == nullptr || !seq->is_int64() || !hash || !at) return Error{Kind::bad_input, "bad_checkpoint", "a checkpoint has seq, hash and time"};
  return Checkpoint{seq->get_int64(), *hash, *at};
}

Result<crypto::PublicKey> decode_public_key(std::string_view text) {
  FLEET_TRY(auto const value, parse_strict(as_bytes(text), kSmallBytesMax));
  auto const text_at = [](json::value const& from, std::string_view name) -> std::string {
    auto const* const object = from.if_object();
    auto const* const member = object == nullptr ? nullptr : object->if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
  };
  auto const* const keyval = value.is_object() ? value.get_object().if_contains("keyval") : nullptr;
  crypto::PublicKey key{text_at(value, "keytype"), text_at(value, "scheme"), keyval == nullptr ? "" : text_at(*keyval, "public")};
  FLEET_TRY(auto const bytes, crypto::key_bytes(key));
  if (key.keytype == "ed25519" && bytes.size() < kEd25519Bytes)
    return Error{Kind::bad_input, "bad_key", fmt::format("an Ed25519 key has {} bytes", kEd25519Bytes)};
  return key;
}

std::string encode(crypto::PublicKey const& key) {
  return json_file(json::object{{"keytype", key.keytype}, {"keyval", {{"public", key.value}}}, {"scheme", key.scheme}});
}

Result<void> AuditChain::add(AuditEntry const& entry) {
  if (entry.seq != seq_ + 1)
    return Error{Kind::corrupt, "audit_gap", fmt::format("audit entry {} is missing: {} follows {}", seq_ + 1, entry.seq, seq_),
                 "an entry was dropped, doubled or moved"};
  if (entry.prev != head_)
    return Error{Kind::corrupt, "audit_changed",
                 fmt::format("audit entry {} does not follow {}: expected prev {}..., got {}...", entry.seq, seq_, short_hex(head_), short_hex(entry.prev)),
                 "this entry or the one before was changed"};
  auto const hash = audit_hash(entry);
  if (hash != entry.hash)
    return Error{Kind::corrupt, "audit_changed",
                 fmt::format("audit entry {} does not fit its hash: expected {}..., got {}...", entry.seq, short_hex(hash), short_hex(entry.hash)),
                 "its text was changed"};
  seq_ = entry.seq;
  head_ = hash;
  return {};
}

Result<void> AuditChain::add(Checkpoint const& checkpoint) const {
  if (checkpoint.seq != seq_)
    return Error{Kind::corrupt, "audit_order", fmt::format("a checkpoint of entry {} stands behind entry {}", checkpoint.seq, seq_),
                 "entries were dropped or moved"};
  if (checkpoint.hash == head_) return {};
  return Error{
      Kind::corrupt, "audit_rewritten",
      fmt::format("audit entry {}: {}... was signed at {}, now it is {}...", seq_, short_hex(checkpoint.hash), to_rfc3339(checkpoint.time), short_hex(head_)),
      "the log was rewritten after that"};
}

}  // namespace fleet::trust
