#include "core/trust/dsse.hpp"

#include "core/trust/canonical.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <vector>

namespace fleet::trust {
namespace json = boost::json;
namespace {

/// PAE of DSSE 1.0.2: what is signed.
std::string pre_authentication(std::string_view type, std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, payload.size(), payload);
}

Error refused(std::string detail) { return {Kind::bad_input, "bad_envelope", std::move(detail)}; }

std::string_view text_at(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

/// In either alphabet, as DSSE 1.0.2 has it: the standard one, or the one for URLs, which may do without padding.
Result<Bytes> from_either_base64(std::string_view text) {
  if (text.find_first_of("-_") == std::string_view::npos && text.size() % 4 == 0) return from_base64(text);
  constexpr std::size_t kPaddingMax = 2;
  bool const padded = text.size() % 4 == 0;
  for (std::size_t i = 0; i < kPaddingMax && padded && text.ends_with('='); ++i) text.remove_suffix(1);
  return from_base64url(text);
}

struct Envelope {
  Bytes payload;
  std::string message;  ///< what is signed
  std::vector<Signature> signatures;
};

Result<Envelope> read_envelope(BytesView envelope, std::string_view payload_type, std::uint64_t limit_bytes) {
  FLEET_TRY(auto const document, parse_strict(envelope, limit_bytes));
  auto const* const object = document.if_object();
  auto const* const signatures = object == nullptr || !object->contains("signatures") ? nullptr : object->at("signatures").if_array();
  if (signatures == nullptr) return refused("no DSSE envelope: signatures are missing");
  if (text_at(*object, "payloadType") != payload_type)
    return refused(fmt::format("payload type '{}', expected '{}'", text_at(*object, "payloadType").substr(0, 80), payload_type));
  auto payload = from_either_base64(text_at(*object, "payload"));
  if (!payload || payload->empty()) return refused("the payload is not base64");
  if (signatures->size() > 32) return refused(fmt::format("{} signatures, at most 32 are taken", signatures->size()));
  Envelope out{std::move(*payload), {}, {}};
  out.message = pre_authentication(payload_type, as_text(out.payload));
  for (auto const& item : *signatures) {
    if (!item.is_object()) return refused("a signature is not an object");
    auto bytes = from_either_base64(text_at(item.get_object(), "sig"));
    if (bytes) out.signatures.push_back({std::string(text_at(item.get_object(), "keyid")), std::move(*bytes)});
  }
  return out;
}

std::string write_envelope(std::string_view payload_type, BytesView payload, json::array signatures) {
  return json::serialize(json::object{{"payloadType", payload_type}, {"payload", to_base64(payload)}, {"signatures", std::move(signatures)}});
}

}  // namespace

Result<Bytes> open_envelope(BytesView envelope, std::string_view payload_type, KeySet const& keys, std::uint64_t limit_bytes) {
  FLEET_TRY(auto found, read_envelope(envelope, payload_type, limit_bytes));
  FLEET_CHECK(verify_signers(keys, found.signatures, as_bytes(found.message), payload_type));
  return std::move(found.payload);
}

Result<Bytes> open_envelope_by(BytesView envelope, std::string_view payload_type, crypto::PublicKey const& key, std::uint64_t limit_bytes) {
  FLEET_TRY(auto found, read_envelope(envelope, payload_type, limit_bytes));
  for (auto const& one : found.signatures)
    if (crypto::verify(key, as_bytes(found.message), one.bytes)) return std::move(found.payload);
  return Error{Kind::signature, "threshold_unmet", fmt::format("{}: not signed by the key", payload_type)};
}

std::string make_envelope(std::string_view payload_type, BytesView payload, std::span<crypto::SigningKey const> keys) {
  auto const message = pre_authentication(payload_type, as_text(payload));
  json::array signatures;
  for (auto const& key : keys) signatures.push_back(json::object{{"keyid", key.key_id()}, {"sig", to_base64(key.sign(as_bytes(message)))}});
  return write_envelope(payload_type, payload, std::move(signatures));
}

Result<std::string> make_envelope_by(std::string_view payload_type, BytesView payload, std::string_view key_id,
                                     std::function<Result<Bytes>(BytesView message)> const& sign) {
  FLEET_TRY(auto const signature, sign(as_bytes(pre_authentication(payload_type, as_text(payload)))));
  return write_envelope(payload_type, payload, {json::object{{"keyid", key_id}, {"sig", to_base64(signature)}}});
}

}  // namespace fleet::trust
