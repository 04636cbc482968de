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
Result<void> read_provenance(json::object const& predicate, Statement& out, ReleaseFiles const&) {
  auto const* const definition = object_at(predicate, "buildDefinition");
  auto const* const run = object_at(predicate, "runDetails");
  auto const* const builder = run == nullptr ? nullptr : object_at(*run, "builder");
  out.builder = builder == nullptr ? std::string() : text_at(*builder, "id");
  if (definition == nullptr || text_at(*definition, "buildType").empty() || out.builder.empty())
    return bad("provenance has buildDefinition.buildType and runDetails.builder.id");
  return read_resources(*definition, "resolvedDependencies", out);
}

/// https://github.com/in-toto/attestation, test-result v0.1; `metrics`, an object of numbers, is ours.
Result<void> read_test_result(json::object const& predicate, Statement& out, ReleaseFiles const&) {
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

/// The name that a manifest has for the only file of what it was made of.
constexpr std::string_view kOnlyFile = ".";

/// Whether a manifest lists the files of a variant: no more, no fewer, links for themselves or not at all. Of a single file it may not know the name.
bool lists(VariantFiles const& manifest, ReleaseFiles::Variant const& variant) {
  auto const only = manifest.find(std::string(kOnlyFile));
  if (only != manifest.end()) return manifest.size() == 1 && variant.files.size() == 1 && variant.files.begin()->second == only->second;
  auto files = manifest;
  for (auto const& [name, sha256] : variant.links)
    if (auto const found = files.find(name); found != files.end() && found->second == sha256) files.erase(found);
  return files == variant.files;
}

/// A boolean, where it is there. @errors bad_statement
Result<std::optional<bool>> flag_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr) return std::optional<bool>{};
  if (!value->is_bool()) return bad(fmt::format("'{}' must be true or false", key));
  return std::optional(value->get_bool());
}

/// OpenSSF model signing, v1.0: resources are the files of one variant, no more, no fewer, none twice.
Result<void> read_file_manifest(json::object const& predicate, Statement& out, ReleaseFiles const& release) {
  FLEET_TRY(auto const resources, objects_at(predicate, "resources"));
  VariantFiles listed;
  for (auto const* const one : resources) {
    auto name = text_at(*one, "name");
    auto digest = text_at(*one, "digest");
    if (text_at(*one, "algorithm") != "sha256" || !Digest::parse(digest)) return bad(fmt::format("resource '{}' has no sha256 digest", name.substr(0, 200)));
    if (name != kOnlyFile && !is_safe_relative_path(name)) return bad(fmt::format("resource '{}' is no plain relative path", name.substr(0, 200)));
    if (!listed.emplace(name, digest).second) return bad("a resource stands twice");
    FLEET_TRY(auto const executable, flag_at(*one, "executable"));
    out.subjects.push_back({std::move(name), std::move(digest), {}, {}, executable});
  }
  if (std::none_of(release.variants.begin(), release.variants.end(), [&](auto const& variant) { return lists(listed, variant); }))
    return mismatch(fmt::format("the manifest's {} files are those of no variant", listed.size()));
  out.manifest = std::move(listed);
  return {};
}

/// CycloneDX 1.5: the model is its component.
Result<void> read_bom(json::object const& predicate, Statement&, ReleaseFiles const&) {
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
  Result<void> (*read)(json::object const&, Statement&, ReleaseFiles const&);
};
constexpr auto kKinds = std::to_array<PredicateKind>({{"provenance", "https://slsa.dev/provenance/v1", true, read_provenance},
                                                      {"test-result", "https://in-toto.io/attestation/test-result/v0.1", true, read_test_result},
                                                      {"file-manifest", "https://model_signing/signature/v1.0", false, read_file_manifest},
                                                      {"bom", "https://cyclonedx.org/bom", true, read_bom}});

/// What a subject says beside its digest: the release, the hardware, whether it is executable. @errors bad_statement, statement_mismatch
Result<void> read_annotations(json::object const& subject, ReleaseFiles const& release, Statement::Spoken& out) {
  auto const* const notes = object_at(subject, "annotations");
  if (notes == nullptr) return {};
  out.release = text_at(*notes, "release");
  if (!out.release.empty() && out.release != release.name) return mismatch(fmt::format("it speaks of {}, not of {}", out.release.substr(0, 200), release.name));
  FLEET_TRY(out.executable, flag_at(*notes, "executable"));
  auto const* const hardware = notes->if_contains("hardware");
  if (hardware == nullptr) return {};
  auto const* const list = hardware->if_array();
  bool const texts = list != nullptr && !list->empty() && std::all_of(list->begin(), list->end(), [](auto const& one) { return one.is_string(); });
  if (!texts) return bad("'hardware' must be a list of names");
  for (auto const& one : *list) out.hardware.emplace_back(one.get_string());
  return {};
}

/// A subject is a file of the release, under the name that it has there: two files that changed places are not those that were tested.
Result<void> check_subject(Statement::Spoken const& subject, ReleaseFiles const& release) {
  std::string other;
  for (auto const& variant : release.variants) {
    auto const link = variant.links.find(subject.name);
    if (link != variant.links.end() && link->second == subject.sha256) return {};
    for (auto const& [name, sha256] : variant.files) {
      if (sha256 != subject.sha256) continue;
      if (name == subject.name) return {};
      other = name;
    }
  }
  auto const said = subject.name.substr(0, 200);
  if (other.empty()) return mismatch(fmt::format("subject '{}' ({}) is no file of the release", said, subject.sha256));
  return mismatch(fmt::format("subject '{}' ({}) is file '{}' of the release", said, subject.sha256, other));
}

Result<std::vector<Statement::Spoken>> read_subjects(json::object const& statement, ReleaseFiles const& release) {
  FLEET_TRY(auto const subjects, objects_at(statement, "subject"));
  if (subjects.empty()) return bad("a statement has subjects");
  std::vector<Statement::Spoken> out;
  for (auto const* const one : subjects) {
    Statement::Spoken subject{text_at(*one, "name"), {}};
    FLEET_TRY(subject.sha256, sha256_of(*one));
    FLEET_CHECK(check_subject(subject, release));
    FLEET_CHECK(read_annotations(*one, release, subject));
    out.push_back(std::move(subject));
  }
  return out;
}

/// A manifest's one subject stands for the whole: what it is annotated with holds for each file.
Result<void> annotate_all(json::object const& statement, ReleaseFiles const& release, Statement& out) {
  FLEET_TRY(auto const subjects, objects_at(statement, "subject"));
  if (subjects.empty()) return {};
  Statement::Spoken whole;
  FLEET_CHECK(read_annotations(*subjects.front(), release, whole));
  for (auto& one : out.subjects) {
    one.release = whole.release;
    one.hardware = whole.hardware;
  }
  return {};
}

Result<Statement> read_statement(BytesView payload, ReleaseFiles const& release) {
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
    FLEET_TRY(out.subjects, read_subjects(*statement, release));
  }
  FLEET_CHECK(kind->read(*predicate, out, release));
  if (!kind->names_files) FLEET_CHECK(annotate_all(*statement, release, out));
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
  std::vector<std::vector<Statement::Spoken>> subjects;
  std::vector<VariantFiles> manifests;
};

/// Whether `spoken` is of this file in this variant, as far as it says, and says what the demand binds it to.
bool speaks_of(Statement::Spoken const& spoken, Demand const& demand, ReleaseFiles::Variant const& variant, std::string const& name,
               std::string const& sha256) {
  if (spoken.sha256 != sha256 || (spoken.name != name && spoken.name != kOnlyFile)) return false;
  if (spoken.release.empty() && demand.binds.contains("release")) return false;
  if (!spoken.executable && demand.binds.contains("executable")) return false;
  if (spoken.executable && *spoken.executable != variant.executable.contains(name)) return false;
  if (spoken.hardware.empty()) return !demand.binds.contains("hardware");
  auto const named = [&](std::string const& hardware) { return std::find(spoken.hardware.begin(), spoken.hardware.end(), hardware) != spoken.hardware.end(); };
  return std::all_of(variant.hardware.begin(), variant.hardware.end(), named);
}

/// Whether it speaks of a variant: of every file that the demand is about, and there is one.
bool covers(Said const& said, Demand const& demand, ReleaseFiles::Variant const& variant) {
  VariantFiles wanted;
  for (auto const& [name, sha256] : variant.files)
    if (is_about(demand, name)) wanted.emplace(name, sha256);
  if (wanted.empty()) return false;
  for (std::size_t i = 0; i < said.subjects.size(); ++i) {
    if (demand.kind == "file-manifest" && !lists(said.manifests[i], variant)) continue;
    auto const spoken = [&](auto const& file) {
      return std::any_of(said.subjects[i].begin(), said.subjects[i].end(),
                         [&](auto const& one) { return speaks_of(one, demand, variant, file.first, file.second); });
    };
    if (std::all_of(wanted.begin(), wanted.end(), spoken)) return true;
  }
  return false;
}

std::string words(Demand const& demand) {
  auto out = demand.kind;
  if (!demand.metric.empty()) out += " with " + demand.metric;
  if (demand.min) out += fmt::format(" >= {}", *demand.min);
  if (demand.max) out += fmt::format(" <= {}", *demand.max);
  if (!demand.dataset.empty()) out += " on data set " + demand.dataset;
  if (!demand.subjects.empty()) out += fmt::format(" about {}", fmt::join(demand.subjects, ", "));
  if (!demand.binds.empty()) out += fmt::format(" that names its {}", fmt::join(demand.binds, ", "));
  return fmt::format("{} by {} of {}", out, demand.threshold,
                     demand.signers.empty() ? "the model's signers" : fmt::format("{}", fmt::join(demand.signers, ", ")));
}

/// Nothing where the demand is met for each variant; else what there is of it.
std::optional<std::string> what_is_missing(Demand const& demand, std::vector<Statement> const& statements, ReleaseFiles const& release) {
  auto const& variants = release.variants;
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
      bool const together = demand.kind == "test-result" || demand.kind == "file-manifest" || said.subjects.empty();
      if (together) said.subjects.push_back(statement.subjects);
      else said.subjects.back().insert(said.subjects.back().end(), statement.subjects.begin(), statement.subjects.end());
      if (together) said.manifests.push_back(statement.manifest);
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

Result<Statement> open_statement(BytesView file, EvidencePolicy const& policy, ReleaseFiles const& release) {
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
  FLEET_TRY(auto out, read_statement(*payload, release));
  out.signers = std::move(signers);
  return out;
}

std::vector<FieldError> unmet_demands(EvidencePolicy const& policy, std::vector<Statement> const& statements, ReleaseFiles const& release) {
  std::vector<FieldError> out;
  for (std::size_t i = 0; i < policy.demands.size(); ++i)
    if (auto const got = what_is_missing(policy.demands[i], statements, release))
      out.push_back({fmt::format("/demands/{}", i), fmt::format("expected {}; {}", words(policy.demands[i]), *got)});
  return out;
}

}  // namespace fleet::trust
