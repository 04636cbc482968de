// The decoders of the device protocol, of release.json, of manifests and YAML, of identity tokens and their keys. The first byte chooses one.
#include "core/wire/device.hpp"
#include "core/wire/jwt.hpp"
#include "core/wire/receipt.hpp"
#include "core/wire/release.hpp"
#include "core/wire/routes.hpp"
#include "core/wire/yaml.hpp"

#include <array>
#include <cstdlib>

using namespace fleet;

namespace {

/// What was taken must be written and taken again: a decoder and its encoder agree.
template <auto decode>
void round_trip(std::string_view text) {
  auto const value = decode(text);
  if (value && !decode(wire::encode(*value))) std::abort();
}

void manifest(std::string_view text) { static_cast<void>(wire::decode_manifest(text)); }
void targets(std::string_view text) {
  auto const value = wire::decode_targets(text);
  if (value && !wire::decode_targets(wire::encode_targets(*value))) std::abort();
}
/// A manifest as people write it: the JSON that their YAML becomes.
void people(std::string_view text) {
  if (auto const document = wire::read_yaml(text, 64 * 1024)) manifest(document->json);
}
void yaml(std::string_view text) { static_cast<void>(wire::read_yaml(text, 64 * 1024)); }

void jwt(std::string_view text) {
  auto const value = wire::decode_jwt(text);
  if (value) static_cast<void>(wire::decode_id_claims(value->payload));
  static_cast<void>(wire::decode_id_claims(text));
  static_cast<void>(wire::decode_jwks(text));
  static_cast<void>(wire::decode_discovery(text));
}

constexpr std::array<void (*)(std::string_view), 9> kDecoders{round_trip<wire::decode_enroll_request>,
                                                              round_trip<wire::decode_enroll_response>,
                                                              round_trip<wire::decode_poll_request>,
                                                              round_trip<wire::decode_poll_response>,
                                                              round_trip<wire::decode_directive>,
                                                              round_trip<wire::decode_report>,
                                                              manifest,
                                                              targets,
                                                              yaml};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'r') round_trip<wire::decode_release>(text);
  else if (data[0] == 'j') jwt(text);
  else if (data[0] == 'm') people(text);
  else if (data[0] == 'o') round_trip<wire::decode_routes>(text);
  else if (data[0] == 'k') {
    round_trip<wire::decode_receipt>(text);
    round_trip<wire::decode_signed_receipt>(text);
  } else if (data[0] == 'a') round_trip<wire::decode_report_answer>(text);
  else kDecoders[data[0] % kDecoders.size()](text);
  return 0;
}
