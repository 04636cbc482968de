#include "server/catalog/attestations.hpp"

#include "core/crypto/hash.hpp"
#include "core/wire/links.hpp"
#include "core/wire/release.hpp"
#include "server/catalog/queries.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

/// `M@V`. @errors unprocessable
Result<Parent> parent_of(trust::Statement::Resource const& resource) {
  auto const at = resource.name.find('@');
  if (at == std::string::npos || at == 0 || at + 1 == resource.name.size())
    return Error{Kind::unprocessable, "bad_statement", fmt::format("dependency 'model:{}': expected model:MODEL@VERSION", resource.name.substr(0, 130))};
  return Parent{resource.name.substr(0, at), resource.name.substr(at + 1), resource.relation};
}

void add_parent(Publication& wanted, Parent parent) {
  auto const known = [&](Parent const& other) { return other.model == parent.model && other.version == parent.version; };
  if (std::none_of(wanted.parents.begin(), wanted.parents.end(), known)) wanted.parents.push_back(std::move(parent));
}

void add_dataset(Publication& wanted, Dataset dataset) {
  auto const known = [&](Dataset const& other) { return other.name == dataset.name && other.sha256 == dataset.sha256; };
  if (std::none_of(wanted.datasets.begin(), wanted.datasets.end(), known)) wanted.datasets.push_back(std::move(dataset));
}

}  // namespace

trust::ReleaseFiles files_of(wire::Release const& release) {
  trust::ReleaseFiles out{release.model + "@" + release.version, {}};
  for (auto const& variant : release.variants) {
    trust::ReleaseFiles::Variant one{{}, variant.hardware, {}};
    for (auto const& file : variant.files) {
      one.files.emplace(file.name, file.sha256.hex());
      if (file.executable) one.executable.insert(file.name);
    }
    one.links = wire::linked_digests(variant);
    out.variants.push_back(std::move(one));
  }
  return out;
}

Result<std::vector<trust::Statement>> judge_evidence(Model const& model, Publication& wanted) {
  FLEET_TRY(auto const policy, trust::decode_evidence_policy(model.evidence));
  std::vector<trust::Statement> out;
  auto const files = files_of(wanted.release);
  for (std::size_t i = 0; i < wanted.attestations.size(); ++i) {
    auto statement = trust::open_statement(wanted.attestations[i], policy, files);
    if (!statement) {
      auto error = statement.error();
      error.detail = fmt::format("attestation {}: {}", i + 1, error.detail);
      return error;
    }
    if (statement->kind == "provenance") {
      for (auto const& resource : statement->parents) {
        FLEET_TRY(auto parent, parent_of(resource));
        FLEET_CHECK(check_relation(parent.relation));
        add_parent(wanted, std::move(parent));
      }
      for (auto const& resource : statement->datasets) add_dataset(wanted, {resource.name, *Digest::parse(resource.sha256)});
    }
    out.push_back(*std::move(statement));
  }
  Error unmet{Kind::unprocessable, "evidence_missing", fmt::format("release {}@{} lacks evidence that its model demands", model.name, wanted.release.version),
              "attach it: release publish --attestation FILE"};
  unmet.errors = trust::unmet_demands(policy, out, files);
  if (!unmet.errors.empty()) return unmet;
  return out;
}

Result<void> check_parents(db::Connection& reader, std::vector<trust::Statement> const& statements) {
  for (auto const& statement : statements)
    for (auto const& resource : statement.parents) {
      FLEET_TRY(auto const named, parent_of(resource));
      auto const found = load_release(reader, named.model, named.version);
      if (!found)
        return Error{Kind::not_found, "unknown_parent", fmt::format("parent {} is not known here", resource.name), "publish it first: the lineage must close"};
      bool const is_release = found->digest.hex() == resource.sha256;
      bool const is_file = found->document.find('"' + resource.sha256 + '"') != std::string::npos;
      if (!is_release && !is_file)
        return Error{Kind::unprocessable, "statement_mismatch", fmt::format("parent {} has no file {}, and is not itself that", resource.name, resource.sha256),
                     "name the digest of the release, or of one of its files"};
    }
  return {};
}

Result<void> keep_evidence(store::Tx& tx, std::int64_t release_n, std::vector<trust::Statement> const& statements, std::vector<Bytes> const& envelopes) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    auto const& one = statements[i];
    auto const signers = json::serialize(json::array(one.signers.begin(), one.signers.end()));
    FLEET_CHECK(tx.prepare(kInsertAttestation)
                    .bind_all(release_n, static_cast<std::int64_t>(i), one.kind, one.predicate_type, signers, crypto::sha256(envelopes[i]), envelopes[i])
                    .run());
  }
  return {};
}

Result<std::string> evidence_for_device(db::Connection& reader, std::int64_t device_n, Digest const& release) {
  auto row = reader.prepare(kNamedRelease);
  FLEET_TRY(bool const named, row.bind_all(device_n, release).step());
  if (!named) return Error{Kind::not_found, "unknown_release", fmt::format("no release {} was named to this device", release.hex())};
  return evidence_json(reader, row.int64(0), true);
}

Result<std::string> evidence_json(db::Connection& reader, std::int64_t release_n, bool whole) {
  json::array out;
  auto rows = reader.prepare(kAttestations);
  rows.bind(1, release_n);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return json::serialize(out);
    json::object one{
        {"kind", rows.text_view(0)}, {"predicate_type", rows.text_view(1)}, {"signers", json::parse(rows.text(2))}, {"sha256", rows.digest(3).hex()}};
    if (whole) one["envelope"] = to_base64(rows.blob(4));
    out.push_back(std::move(one));
  }
}

}  // namespace fleet::catalog
