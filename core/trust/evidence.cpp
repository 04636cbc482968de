#include "core/trust/evidence.hpp"

#include "core/base/fs.hpp"
#include "core/trust/canonical.hpp"
#include "core/trust/dsse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kModelPrefix = "model:", kDatasetPrefix = "dataset:";
constexpr std::size_t kItemsMax = 10'000;

Error bad(std::string detail) { return {Kind::unprocessable, "bad_statement", std::move(detail), "docs/ci.md tells what a statement must have"}; }
Error mismatch(std::string detail) { return {Kind::unprocessable, "statement_mismatch", std::move(detail), "attest the files that are published"}; }

json::object const* object_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}
std::string text_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
/// The objects of a list; nothing where it is absent. @errors bad_statement
Result<std::vector<json::object const*>> objects_at(json::object const& parent, std::string_view key) {
  std::vector<json::object const*> out;
  auto const* const value = parent.if_contains(key);
  if (value == nullptr) return out;
  auto const* const list = value->if_array();
  if (list == nullptr || list->size() > kItemsMax) return bad(fmt::format("'{}' must be a list of at most {} objects", key, kItemsMax));
  for (auto const& item : *list) {
    if (!item.is_object()) return bad(fmt::format("'{}' must hold objects", key));
    out.push_back(&item.get_object());
  }
  return out;
}

/// The sha256 of a ResourceDescriptor (in-toto attestation, v1). @errors bad_statement
Result<std::string> sha256_of(json::object const& resource) {
  auto const* const digest = object_at(resource, "digest");
  auto text = digest == nullptr ? std::string() : text_at(*digest, "sha256");
  if (!Digest::parse(text)) return bad(fmt::format("'{}' has no digest.sha256 of 64 hex characters, lower case", text_at(resource, "name").substr(0, 200)));
  return text;
}

/// Dependencies and configuration by the prefix of their names; others, such as a commit, are passed over.
Result<void> read_resources(json::object const& parent, std::string_view key, Statement& out) {
  FLEET_TRY(auto const resources, objects_at(parent, key));
  for (auto const* const one : resources) {
    auto const name = text_at(*one, "name");
    bool const model = name.starts_with(kModelPrefix), dataset = name.starts_with(kDatasetPrefix);
    if (!model && !dataset) continue;
    FLEET_TRY(auto sha256, sha256_of(*one));
    auto const* const notes = object_at(*one, "annotations");
    auto relation = notes == nullptr ? std::string() : text_at(*notes, "relation");
    (model ? out.parents : out.datasets)
        .push_back({name.substr(model ? kModelPrefix.size() : kDatasetPrefix.size()), std::move(sha256), relation.empty() ? "finetune" : std::move(relation)});
  }
  return {};
}

/// https://slsa.dev/spec/v1.0/provenance
Result<void> read_provenance(json::object const& predicate, Statement& out, std::vector<VariantFiles> const&) {
  auto const* const definition = object_at(predicate, "buildDefinition");
  auto const* const run = object_at(predicate, "runDetails");
  auto const* const builder = run == nullptr ? nullptr : object_at(*run, "builder");
  out.builder = builder == nullptr ? std::string() : text_at(*builder, "id");
  if (definition == nullptr || text_at(*definition, "buildType").empty() || out.builder.empty())
    return bad("provenance has buildDefinition.buildType and runDetails.builder.id");
  return read_resources(*definition, "resolvedDependencies", out);
}

/// https://github.com/in-toto/attestation, test-result v0.1; `metrics`, an object of numbers, is ours.
Result<void> read_test_result(json::object const& predicate, Statement& out, std::vector<VariantFiles> const&) {
  out.result = text_at(predicate, "result");
  constexpr auto kResults = std::to_array<std::string_view>({"PASSED", "WARNED", "FAILED"});
  if (std::find(kResults.begin(), kResults.end(), out.result) == kResults.end()) return bad("a test result is PASSED, WARNED or FAILED");
  if (auto const* const metrics = object_at(predicate, "metrics"))
    for (auto const& [name, value] : *metrics) {
      if (!value.is_number() || !std::isfinite(value.to_number<double>())) return bad(fmt::format("metric '{}' is no number", std::string_view(name).substr(0, 100)));
      out.metrics.emplace(std::string(name), value.to_number<double>());
    }
  return read_resources(predicate, "configuration", out);
}

/// OpenSSF model signing, v1.0: resources are the files of one variant, no more, no fewer, none twice.
Result<void> read_file_manifest(json::object const& predicate, Statement& out, std::vector<VariantFiles> const& variants) {
  FLEET_TRY(auto const resources, objects_at(predicate, "resources"));
  VariantFiles listed;
  for (auto const* const one : resources) {
    auto name = text_at(*one, "name");
    auto digest = text_at(*one, "digest");
    if (text_at(*one, "algorithm") != "sha256" || !Digest::parse(digest)) return bad(fmt::format("resource '{}' has no sha256 digest", name.substr(0, 200)));
    if (!is_safe_relative_path(name)) return bad(fmt::format("resource '{}' is no plain relative path", name.substr(0, 200)));
    if (!listed.emplace(std::move(name), std::move(digest)).second) return bad("a resource stands twice");
  }
  if (std::find(variants.begin(), variants.end(), listed) == variants.end())
    return mismatch(fmt::format("the manifest's {} files are those of no variant", listed.size()));
  out.manifest = std::move(listed);
  return {};
}

/// CycloneDX 1.5: the model is its component.
Result<void> read_bom(json::object const& predicate, Statement&, std::vector<VariantFiles> const&) {
  auto const is_model = [](json::object const& component) { return text_at(component, "type") == "machine-learning-model"; };
  auto const* const metadata = object_at(predicate, "metadata");
  auto const* const subject = metadata == nullptr ? nullptr : object_at(*metadata, "component");
  FLEET_TRY(auto const components, objects_at(predicate, "components"));
  bool const found =
      (subject != nullptr && is_model(*subject)) || std::any_of(components.begin(), components.end(), [&](auto const* one) { return is_model(*one); });
  if (text_at(predicate, "bomFormat") == "CycloneDX" && found) return {};
  return bad("a bill of materials has bomFormat CycloneDX and a component of type machine-learning-model");
}

struct PredicateKind {
  std::string_view kind, type;
  bool names_files;  ///< subjects are files of the release
  Result<void> (*read)(json::object const&, Statement&, std::vector<VariantFiles> const&);
};
constexpr auto kKinds = std::to_array<PredicateKind>({{"provenance", "https://slsa.dev/provenance/v1", true, read_provenance},
                                                      {"test-result", "https://in-toto.io/attestation/test-result/v0.1", true, read_test_result},
                                                      {"file-manifest", "https://model_signing/signature/v1.0", false, read_file_manifest},
                                                      {"bom", "https://cyclonedx.org/bom", true, read_bom}});

Result<std::set<std::string>> read_subjects(json::object const& statement, std::vector<VariantFiles> const& variants) {
  std::set<std::string> files;
  for (auto const& variant : variants)
    for (auto const& [name, sha256] : variant) files.insert(sha256);
  FLEET_TRY(auto const subjects, objects_at(statement, "subject"));
  if (subjects.empty()) return bad("a statement has subjects");
  std::set<std::string> out;
  for (auto const* const one : subjects) {
    FLEET_TRY(auto sha256, sha256_of(*one));
    if (!files.contains(sha256)) return mismatch(fmt::format("subject '{}' ({}) is no file of the release", text_at(*one, "name").substr(0, 200), sha256));
    out.insert(std::move(sha256));
  }
  return out;
}

Result<Statement> read_statement(BytesView payload, std::vector<VariantFiles> const& variants) {
  boost::system::error_code fault;
  json::parse_options options;
  options.max_depth = 32;
  auto const value = json::parse(as_text(payload), fault, {}, options);
  auto const* const statement = fault ? nullptr : value.if_object();
  if (statement == nullptr || text_at(*statement, "_type") != kStatementType) return bad(fmt::format("expected a statement of type {}", kStatementType));
  auto const type = text_at(*statement, "predicateType");
  auto const kind = std::find_if(kKinds.begin(), kKinds.end(), [&](PredicateKind const& one) { return one.type == type; });
  auto const* const predicate = object_at(*statement, "predicate");
  if (kind == kKinds.end() || predicate == nullptr) return bad(fmt::format("predicate type '{}' is not taken", type.substr(0, 200)));
  Statement out;
  out.kind = kind->kind;
  out.predicate_type = type;
  if (kind->names_files) {
    FLEET_TRY(out.subjects, read_subjects(*statement, variants));
  }
  FLEET_CHECK(kind->read(*predicate, out, variants));
  return out;
}

/// The envelope in a Sigstore bundle, which model_signing and cosign write around it; any other file as it is. What else a bundle holds
/// (certificates, a log's proofs) counts for nothing here: a model names its signers by their keys.
Result<Bytes> without_bundle(BytesView file) {
  constexpr std::string_view kBundle = "application/vnd.dev.sigstore.bundle";
  FLEET_TRY(auto const value, parse_strict(file, kStatementBytesMax));
  auto const* const object = value.if_object();
  if (object == nullptr || !text_at(*object, "mediaType").starts_with(kBundle)) return Bytes(file.begin(), file.end());
  auto const* const envelope = object_at(*object, "dsseEnvelope");
  if (envelope == nullptr) return Error{Kind::bad_input, "bad_envelope", "the bundle holds no DSSE envelope", "sign an in-toto statement, not the file itself"};
  auto const text = json::serialize(*envelope);
  return Bytes(text.begin(), text.end());
}

bool about(Statement const& statement, std::string const& dataset) {
  return dataset.empty() ||
         std::any_of(statement.datasets.begin(), statement.datasets.end(), [&](auto const& one) { return one.name == dataset || one.sha256 == dataset; });
}

/// Nothing where the statement meets all but the demand's signers; else what is wrong with it.
std::optional<std::string> shortfall(Demand const& demand, Statement const& statement) {
  if (!about(statement, demand.dataset)) return fmt::format("says nothing of data set {}", demand.dataset);
  if (statement.kind == "test-result" && statement.result == "FAILED") return "FAILED";
  if (demand.metric.empty()) return std::nullopt;
  auto const found = statement.metrics.find(demand.metric);
  if (found == statement.metrics.end()) return fmt::format("has no {}", demand.metric);
  bool const fits = (!demand.min || found->second >= *demand.min) && (!demand.max || found->second <= *demand.max);
  return fits ? std::nullopt : std::optional(fmt::format("{} is {}", demand.metric, found->second));
}

bool is_about(Demand const& demand, std::string const& file) {
  auto const fits = [&](std::string const& pattern) { return ::fnmatch(pattern.c_str(), file.c_str(), FNM_PATHNAME | FNM_NOESCAPE) == 0; };
  return demand.subjects.empty() || std::any_of(demand.subjects.begin(), demand.subjects.end(), fits);
}

/// What one signer said: of what each statement spoke. A test is of the files together that it names; where something came from holds for each alone.
struct Said {
  std::vector<std::set<std::string>> subjects;
  std::vector<VariantFiles> manifests;
};

/// Whether it speaks of a variant: of every file that the demand is about, and there is one.
bool covers(Said const& said, Demand const& demand, VariantFiles const& variant) {
  if (demand.kind == "file-manifest") return std::find(said.manifests.begin(), said.manifests.end(), variant) != said.manifests.end();
  std::set<std::string> wanted;
  for (auto const& [name, sha256] : variant)
    if (is_about(demand, name)) wanted.insert(sha256);
  return !wanted.empty() && std::any_of(said.subjects.begin(), said.subjects.end(),
                                        [&](auto const& named) { return std::includes(named.begin(), named.end(), wanted.begin(), wanted.end()); });
}

std::string words(Demand const& demand) {
  auto out = demand.kind;
  if (!demand.metric.empty()) out += " with " + demand.metric;
  if (demand.min) out += fmt::format(" >= {}", *demand.min);
  if (demand.max) out += fmt::format(" <= {}", *demand.max);
  if (!demand.dataset.empty()) out += " on data set " + demand.dataset;
  if (!demand.subjects.empty()) out += fmt::format(" about {}", fmt::join(demand.subjects, ", "));
  return fmt::format("{} by {} of {}", out, demand.threshold,
                     demand.signers.empty() ? "the model's signers" : fmt::format("{}", fmt::join(demand.signers, ", ")));
}

/// Nothing where the demand is met for each variant; else what there is of it.
std::optional<std::string> what_is_missing(Demand const& demand, std::vector<Statement> const& statements, std::vector<VariantFiles> const& variants) {
  std::map<std::string, Said> by;
  std::vector<std::string> short_of;
  for (auto const& statement : statements) {
    if (statement.kind != demand.kind) continue;
    if (auto const why = shortfall(demand, statement)) {
      short_of.push_back(fmt::format("{} by {}: {}", statement.kind, fmt::join(statement.signers, ", "), *why));
      continue;
    }
    for (auto const& name : statement.signers) {
      if (!demand.signers.empty() && std::find(demand.signers.begin(), demand.signers.end(), name) == demand.signers.end()) continue;
      auto& said = by[name];
      if (demand.kind == "test-result" || said.subjects.empty()) said.subjects.push_back(statement.subjects);
      else said.subjects.back().insert(statement.subjects.begin(), statement.subjects.end());
      said.manifests.push_back(statement.manifest);
    }
  }
  for (std::size_t v = 0; v < variants.size(); ++v) {
    std::vector<std::string> met;
    for (auto const& [name, said] : by)
      if (covers(said, demand, variants[v])) met.push_back(name);
    if (met.size() >= static_cast<std::size_t>(demand.threshold)) continue;
    if (!met.empty()) return fmt::format("got it by {} of variant {}", fmt::join(met, ", "), v + 1);
    if (!by.empty()) return fmt::format("got it of no such files of variant {}, all of them", v + 1);
    return short_of.empty() ? "got none" : "got " + fmt::format("{}", fmt::join(short_of, "; "));
  }
  return std::nullopt;
}

}  // namespace

Result<Statement> open_statement(BytesView file, EvidencePolicy const& policy, std::vector<VariantFiles> const& variants) {
  FLEET_TRY(auto const envelope, without_bundle(file));
  std::vector<std::string> signers;
  std::set<Bytes> keys;  // two names of one key are one signer
  std::optional<Bytes> payload;
  for (auto const& [name, key] : policy.signers) {
    auto opened = open_envelope_by(envelope, kPayloadType, key, kStatementBytesMax);
    if (!opened && opened.error().code != "threshold_unmet") return opened.error();
    if (!opened) continue;
    FLEET_TRY(auto bytes, crypto::key_bytes(key));
    if (keys.insert(std::move(bytes)).second) signers.push_back(name);
    payload = std::move(*opened);
  }
  if (!payload)
    return Error{Kind::signature, "unknown_signer", fmt::format("the statement is signed by none of the model's {} signers", policy.signers.size()),
                 "fleetctl model set MODEL --signer NAME=KEY.pub"};
  FLEET_TRY(auto out, read_statement(*payload, variants));
  out.signers = std::move(signers);
  return out;
}

std::vector<FieldError> unmet_demands(EvidencePolicy const& policy, std::vector<Statement> const& statements, std::vector<VariantFiles> const& variants) {
  std::vector<FieldError> out;
  for (std::size_t i = 0; i < policy.demands.size(); ++i)
    if (auto const got = what_is_missing(policy.demands[i], statements, variants))
      out.push_back({fmt::format("/demands/{}", i), fmt::format("expected {}; {}", words(policy.demands[i]), *got)});
  return out;
}

}  // namespace fleet::trust
