#include "server/blobs/queries.hpp"
#include "server/catalog/releases.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/evidence.hpp"
#include "core/wire/json.hpp"
#include "core/wire/links.hpp"
#include "server/blobs/store/paths.hpp"
#include "core/inspect/expected.hpp"
#include "core/inspect/variant.hpp"
#include "server/catalog/queries.hpp"
#include "server/blobs/readers.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

constexpr std::size_t kInspectionBytesMax = 4 * 1024 * 1024;
constexpr auto kRelations = std::to_array<std::string_view>({"finetune", "quantized", "adapter", "merge", "distilled", "converted"});

/// The same value with the members of every object in the order of their names: what was asked for, however it was written.
json::value in_order(json::value const& value) {
  if (auto const* const list = value.if_array()) {
    json::array out;
    for (auto const& item : *list) out.push_back(in_order(item));
    return out;
  }
  auto const* const object = value.if_object();
  if (object == nullptr) return value;
  std::map<std::string_view, json::value const*> sorted;
  for (auto const& member : *object) sorted.emplace(std::string_view(member.key()), &member.value());
  json::object out;
  for (auto const& [name, member] : sorted) out.emplace(name, in_order(*member));
  return out;
}

void read_parents(wire::ObjectReader& reader, Publication& out, std::vector<FieldError>& faults) {
  auto const* const list = reader.array("parents", 64);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    wire::ObjectReader one((*list)[i], fmt::format("/parents/{}", i), faults);
    Parent parent{one.required_text("model", 64), one.required_text("version", 64), one.required_text("relation", 32)};
    if (!check_relation(parent.relation)) one.fault("relation", fmt::format("is one of {}", fmt::join(kRelations, ", ")));
    one.refuse_unknown();
    auto const same = [&](Parent const& other) { return other.model == parent.model && other.version == parent.version && other.relation == parent.relation; };
    if (std::any_of(out.parents.begin(), out.parents.end(), same)) one.fault("version", fmt::format("{}@{} stands twice", parent.model, parent.version));
    out.parents.push_back(std::move(parent));
  }
}

void read_datasets(wire::ObjectReader& reader, Publication& out, std::vector<FieldError>& faults) {
  auto const* const list = reader.array("datasets", 256);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    wire::ObjectReader one((*list)[i], fmt::format("/datasets/{}", i), faults);
    Dataset dataset{one.required_text("name", 256), {}};
    auto const digest = Digest::parse(one.required_text("sha256", 64));
    if (digest) dataset.sha256 = *digest;
    else one.fault("sha256", "expected 64 hex characters, lower case");
    one.refuse_unknown();
    out.datasets.push_back(std::move(dataset));
  }
}

/// Base64 of each envelope: what was signed are bytes, not JSON that somebody wrote anew.
void read_attestations(wire::ObjectReader& reader, Publication& out, std::vector<FieldError>& faults) {
  auto const texts = reader.texts("attestations", trust::kStatementsMax, 2 * trust::kStatementBytesMax);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto bytes = from_base64(texts[i]);
    if (bytes) out.attestations.push_back(*std::move(bytes));
    else faults.push_back({fmt::format("/attestations/{}", i), "expected base64"});
  }
}

void read_metrics(wire::ObjectReader& reader, Publication& out) {
  auto const* const metrics = reader.find("metrics");
  if (metrics == nullptr) return;
  auto const* const object = metrics->if_object();
  bool const fine =
      object != nullptr && object->size() <= 256 && std::all_of(object->begin(), object->end(), [](auto const& member) { return member.value().is_number(); });
  if (!fine) reader.fault("metrics", "expected an object of at most 256 numbers");
  else out.metrics = json::serialize(*object);
}

Error blob_error(std::string code, wire::ReleaseFile const& file, std::string const& detail) {
  return {Kind::unprocessable, std::move(code), fmt::format("file '{}': {}", file.name, detail), "upload the file first, then publish again"};
}

Result<blobs::Name> check_blob(db::Connection& reader, wire::ReleaseFile const& file, std::string const& actor, std::string const& model) {
  FLEET_TRY(auto const name, blobs::find_name(reader, file.sha256));
  FLEET_TRY(bool const nameable, blobs::may_read(reader, file.sha256, actor, model));
  if (!name || !nameable) return blob_error("unknown_blob", file, fmt::format("the server has no blob {}", file.sha256.hex()));
  if (name->size != file.size) return blob_error("size_mismatch", file, fmt::format("expected {} bytes, the blob has {}", file.size, name->size));
  return *name;
}

/// What the database says is there and is not was lost by this server, whatever the publisher does.
Result<blobs::LocalFile> bytes_of(blobs::BlobStore& store, blobs::Name const& name, wire::ReleaseFile const& file) {
  auto found = store.fetch(name);
  if (found) return found;
  auto error = found.error();
  error.detail += fmt::format(" (file '{}')", file.name);
  return error;
}

}  // namespace

Result<void> check_relation(std::string_view relation) {
  if (std::find(kRelations.begin(), kRelations.end(), relation) != kRelations.end()) return {};
  return Error{Kind::unprocessable, "bad_statement", fmt::format("relation '{}' is none of {}", relation.substr(0, 40), fmt::join(kRelations, ", "))};
}

Result<Publication> decode_publication(std::string_view model, std::string_view body) {
  FLEET_TRY(auto const value, wire::parse_json(body, wire::kPublicationBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Publication out;
  auto asked = in_order(value);
  if (auto* const members = asked.if_object()) members->erase("reason");  // why, not what
  out.request = crypto::sha256(fmt::format("{}\n{}", model, json::serialize(asked)));
  if (reader.find("version") == nullptr) reader.fault("version", "is required");
  static_cast<void>(reader.find("manifest"));
  bool const has_variants = reader.find("variants") != nullptr, has_members = reader.find("members") != nullptr;
  if (!has_variants && !has_members) reader.fault("variants", "is required; of a set, members");
  read_parents(reader, out, faults);
  read_datasets(reader, out, faults);
  read_metrics(reader, out);
  read_attestations(reader, out, faults);
  out.commit = reader.text("commit", 256, {});
  out.reason = reader.text("reason", 1000, {});
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "release"));
  FLEET_TRY(out.release, wire::decode_wanted_release(model, body));
  return out;
}

Result<std::string> inspect_files(db::Connection& reader, Fs& fs, blobs::BlobStore& store, Publication const& wanted, std::string const& actor,
                                  std::string const& model) {
  std::map<std::string, std::string> digests;  ///< by where a blob lies
  std::vector<blobs::LocalFile> held;          ///< as long as they are looked at
  inspect::Inspector inspector(fs);
  for (auto const& variant : wanted.release.variants) {
    std::vector<inspect::VariantFile> files;
    for (auto const& file : variant.files) {
      FLEET_TRY(auto const name, check_blob(reader, file, actor, model));
      FLEET_TRY(auto bytes, bytes_of(store, name, file));
      files.push_back({file.name, bytes.path, file.size});
      held.push_back(std::move(bytes));
      digests.emplace(files.back().path, file.sha256.hex());
    }
    wire::Links links(variant);
    auto const real_name = [&](std::string const& name) { return links.find(name).value_or(name); };
    auto sound = inspector.check(files, real_name);
    if (sound) sound = inspect::check_expected(fs, files, wanted.release.manifest, real_name);
    if (!sound) {
      auto error = sound.error();
      error.detail = fmt::format("variant {}: {}", fmt::join(variant.hardware, ", "), error.detail);
      return error;
    }
  }
  json::object findings;
  std::size_t size = 0;
  for (auto const& [path, onnx] : inspector.models()) {
    auto const text = inspect::onnx_json(onnx);
    size += text.size();
    if (size > kInspectionBytesMax)
      return Error{Kind::too_large, "inspection_too_large", fmt::format("what the models of this release say of themselves is over {} bytes", kInspectionBytesMax)};
    findings[digests.at(path)] = json::parse(text);
  }
  return json::serialize(findings);
}

}  // namespace fleet::catalog
