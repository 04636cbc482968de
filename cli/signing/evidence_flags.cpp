#include "cli/signing/evidence_flags.hpp"

#include "cli/args/refs.hpp"
#include "cli/signing/signing_keys.hpp"
#include "cli/render/json.hpp"
#include "core/trust/evidence.hpp"
#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"

#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;

/// A .pub file of trust offline keygen, or a key in PEM. @errors not_found, bad_input
Result<json::value> read_signer(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kFileBytesMax));
  if (text.find("-----BEGIN PUBLIC KEY-----") != std::string::npos) return json::value(text);
  FLEET_CHECK(load_public_key(fs, path));
  return wire::parse_json(text, kFileBytesMax);
}

}  // namespace

Result<void> set_evidence(Fs& fs, Arguments const& arguments, json::value const& present, json::object& body) {
  auto const* const signers = render::member(present, "signers").if_object();
  auto const* const demands = render::member(present, "demands").if_array();
  json::object named = signers == nullptr ? json::object() : *signers;
  for (auto const& text : arguments.texts("signer")) {
    FLEET_TRY(auto const change, parse_change("--signer", text));
    if (!change.second) named.erase(change.first);
    else {
      FLEET_TRY(named[change.first], read_signer(fs, *change.second));
    }
  }
  body["signers"] = std::move(named);
  body["demands"] = demands == nullptr ? json::array() : *demands;
  if (arguments.has("demands")) {
    FLEET_TRY(auto const text, fs.read(arguments.text("demands"), kFileBytesMax));
    auto const document = wire::read_yaml(text, kFileBytesMax);
    if (!document) return wire::in_file(document.error(), arguments.text("demands"));
    FLEET_TRY(body["demands"], wire::parse_json(document->json, kFileBytesMax));
  }
  // As the server writes it: what is the same compares as the same.
  FLEET_TRY(auto const policy, trust::decode_evidence_policy(render::json_text(body, 0)));
  FLEET_TRY(auto const written, wire::parse_json(trust::encode(policy), 1024 * 1024));
  for (auto const& member : written.get_object()) body[member.key()] = member.value();
  return {};
}

}  // namespace fleet::cli
