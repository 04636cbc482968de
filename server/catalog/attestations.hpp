#pragma once

#include "core/trust/evidence.hpp"
#include "server/catalog/releases.hpp"

#include <string>
#include <vector>

/// The evidence that a publication brings, judged at once and kept as received.
namespace fleet::catalog {

/// The release as statements are judged against it.
[[nodiscard]] trust::ReleaseFiles files_of(wire::Release const& release);
/// Opens every envelope, and adds the parents and data sets that provenance names to those of the publication.
/// @errors signature (unknown_signer), unprocessable (bad_statement, statement_mismatch, evidence_missing: each unmet demand by name)
Result<std::vector<trust::Statement>> judge_evidence(Model const& model, Publication& wanted);
/// A parent that a statement names must have the digest that it is known by: of the release, or of one of its files.
/// @errors not_found (unknown_parent), unprocessable (statement_mismatch)
Result<void> check_parents(db::Connection& reader, std::vector<trust::Statement> const& statements);
Result<void> keep_evidence(store::Tx& tx, std::int64_t release_n, std::vector<trust::Statement> const& statements, std::vector<Bytes> const& envelopes);
/// `[{"kind","predicate_type","signers","sha256"}]`; with `whole` also `"envelope"`, base64.
/// To a device, of a release that a directive named to it: the evidence, as evidence_json has it. @errors not_found (code `unknown_release`), also where it is another's
Result<std::string> evidence_for_device(db::Connection& reader, std::int64_t device_n, Digest const& release);
Result<std::string> evidence_json(db::Connection& reader, std::int64_t release_n, bool whole);

}  // namespace fleet::catalog
