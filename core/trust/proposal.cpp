#include "core/trust/proposal.hpp"

#include "core/trust/canonical.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::string_view kFormat = "fleet-proposal-1";
constexpr std::size_t kFilesMax = 8;

Error refused(std::string detail) { return {Kind::bad_input, "bad_proposal", std::move(detail), "fleetctl trust offline prepare makes one"}; }

Result<std::string> text_of(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr || !value->is_string()) return refused(fmt::format("'{}' must be a text", key));
  return std::string(value->get_string());
}

Result<json::value> parsed(std::string_view file) { return parse_strict(as_bytes(file), Proposal::kBytesMax); }

Result<json::value> file_json(std::string const& text) {
  if (text.empty()) return json::value(nullptr);
  return parsed(text);
}

/// The signatures of a metadata file, to change. @errors bad_input
Result<json::array*> signatures_of(json::value& file) {
  auto* const object = file.if_object();
  auto* const list = object == nullptr ? nullptr : object->if_contains("signatures");
  if (list == nullptr || !list->is_array() || !object->contains("signed")) return refused("a metadata file has 'signed' and 'signatures'");
  return &list->get_array();
}

template <class Unwanted>
void drop(json::array& signatures, Unwanted const& unwanted) {
  json::array kept;
  for (auto const& one : signatures) {
    auto const* const object = one.if_object();
    auto const* const id = object == nullptr ? nullptr : object->if_contains("keyid");
    if (id != nullptr && id->is_string() && !unwanted(std::string(id->get_string()))) kept.push_back(one);
  }
  signatures = std::move(kept);
}

Result<ProposedFile> read_file(json::value const& value) {
  auto const* const object = value.if_object();
  if (object == nullptr) return refused("a file must be an object");
  ProposedFile out;
  FLEET_TRY(out.role, text_of(*object, "role"));
  auto const* const before = object->if_contains("before");
  auto const* const after = object->if_contains("after");
  if (before == nullptr || after == nullptr || !after->is_object()) return refused(fmt::format("file {}: 'before' and 'after' must be there", out.role));
  if (before->is_object()) out.before = json_file(*before);
  out.after = json_file(*after);
  return out;
}

}  // namespace

Result<std::string> encode(Proposal const& proposal) {
  json::array files;
  for (auto const& file : proposal.files) {
    FLEET_TRY(auto before, file_json(file.before));
    FLEET_TRY(auto after, file_json(file.after));
    files.push_back(json::object{{"role", file.role}, {"before", std::move(before)}, {"after", std::move(after)}});
  }
  return json_file(json::object{{"format", kFormat}, {"role", proposal.role}, {"files", std::move(files)}});
}

Result<Proposal> decode_proposal(std::string_view text) {
  FLEET_TRY(auto const value, parsed(text));
  auto const* const object = value.if_object();
  if (object == nullptr) return refused("expected an object");
  FLEET_TRY(auto const format, text_of(*object, "format"));
  if (format != kFormat) return refused(fmt::format("format '{}', expected '{}'", format.substr(0, 40), kFormat));
  Proposal out;
  FLEET_TRY(out.role, text_of(*object, "role"));
  auto const* const files = object->if_contains("files");
  if (files == nullptr || !files->is_array() || files->get_array().empty() || files->get_array().size() > kFilesMax)
    return refused(fmt::format("'files' must hold 1 to {} files", kFilesMax));
  for (auto const& item : files->get_array()) {
    FLEET_TRY(auto file, read_file(item));
    out.files.push_back(std::move(file));
  }
  return out;
}

Signer as_signer(SigningKey const& key) {
  return {key.key_id(), [key](BytesView message) {
            auto const signature = key.sign(message);
            return Result<Bytes>(Bytes(signature.begin(), signature.end()));
          }};
}

Result<std::string> cosign(std::string_view file, std::span<Signer const> signers) {
  FLEET_TRY(auto value, parsed(file));
  FLEET_TRY(auto* const signatures, signatures_of(value));
  auto const covered = canonical(value.get_object().at("signed"));
  for (auto const& signer : signers) {
    FLEET_TRY(auto const signature, signer.sign(as_bytes(covered)));
    drop(*signatures, [&](std::string const& other) { return other == signer.key_id; });
    signatures->push_back(json::object{{"keyid", signer.key_id}, {"sig", to_hex(signature)}});
  }
  return json_file(value);
}

Result<std::string> keep_signatures(std::string_view file, std::span<KeySet const> of) {
  FLEET_TRY(auto value, parsed(file));
  FLEET_TRY(auto* const signatures, signatures_of(value));
  drop(*signatures, [&](std::string const& id) { return std::none_of(of.begin(), of.end(), [&](KeySet const& set) { return set.keys.contains(id); }); });
  return json_file(value);
}

}  // namespace fleet::trust
