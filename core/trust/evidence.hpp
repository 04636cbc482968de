#pragma once

#include "core/base/bytes.hpp"
#include "core/crypto/keys.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Evidence of where a release came from: in-toto statements (v1) in DSSE envelopes, judged against what a model's owners demand. Pure: the server
/// judges at publication, `fleetctl release verify` judges again without trusting it.
namespace fleet::trust {

inline constexpr std::size_t kStatementBytesMax = 256 * 1024;
inline constexpr std::size_t kStatementsMax = 32;

/// Who may speak for a model's releases, and what must have been said.
struct Demand {
  std::string kind;                  ///< provenance | test-result | file-manifest | bom
  std::vector<std::string> signers;  ///< empty: any registered one
  int threshold = 1;                 ///< distinct signers
  std::string dataset;               ///< test-result, provenance: about this data set, by name or 64 hex characters
  std::string metric;                ///< test-result: with `min`, `max` or both
  std::optional<double> min, max;
  std::vector<std::string> subjects;  ///< which files of each variant must be spoken of, by patterns (fnmatch(3), `*` within a folder); empty: all
  std::set<std::string> binds = {};   ///< what a statement must name to count: release, hardware, executable
};
struct EvidencePolicy {
  std::map<std::string, crypto::PublicKey> signers;  ///< by name
  std::vector<Demand> demands;
};
/// `{"signers":{"ci":{TUF key} or "PEM"},"demands":[{"kind","signers"?,"threshold"?,"dataset"?,"metric"?,"min"?,"max"?,"subjects"?,"binds"?}]}`.
/// @errors bad_input with every wrong place
[[nodiscard]] Result<EvidencePolicy> decode_evidence_policy(std::string_view json);
[[nodiscard]] std::string encode(EvidencePolicy const& policy);

/// The files of each variant of a release: name and SHA-256 in hex.
using VariantFiles = std::map<std::string, std::string>;
/// A release as statements are judged against it.
struct ReleaseFiles {
  struct Variant {
    VariantFiles files;
    std::vector<std::string> hardware = {};
    std::set<std::string> executable = {};  ///< names of files
    VariantFiles links = {};                ///< to files: a statement may speak of them by these names, and need not
  };
  std::string name;  ///< MODEL@VERSION
  std::vector<Variant> variants;
};

struct Statement {
  struct Resource {
    std::string name, sha256, relation;
  };
  std::string kind, predicate_type;
  std::vector<std::string> signers;  ///< names of those who signed it
  std::vector<Resource> parents;     ///< provenance: dependencies `model:M@V`; name without the prefix
  std::vector<Resource> datasets;    ///< provenance, test-result: `dataset:NAME`; name without the prefix
  std::string builder, result;       ///< provenance; test-result: PASSED | WARNED | FAILED
  std::map<std::string, double> metrics;
  /// A file that it speaks of, and what else it says it speaks of: annotations of the subject, or of a manifest's resource.
  struct Spoken {
    std::string name, sha256;
    std::string release = {};                ///< MODEL@VERSION; empty: it does not say
    std::vector<std::string> hardware = {};  ///< empty: it does not say
    std::optional<bool> executable = {};
  };
  std::vector<Spoken> subjects;
  VariantFiles manifest;           ///< of a file manifest: the files that it lists
};
/// @param file  a DSSE envelope, or a Sigstore bundle around one
/// Verifies the envelope over its bytes with each registered key, and parses only what one of them signed. Subjects must be files of the release, under
/// the names that they have there; where one names a release, it must be this one
/// (a file manifest's subject is no identity: its resources must be the files of one variant, no more and no fewer).
/// @errors signature (unknown_signer), unprocessable (bad_statement, statement_mismatch), bad_input (bad_envelope), too_large
[[nodiscard]] Result<Statement> open_statement(BytesView file, EvidencePolicy const& policy, ReleaseFiles const& release);
/// The demands that the statements do not meet: where, what was expected, what was got. Empty: all are met. A demand is met when it is for each variant:
/// enough signers each spoke of every file of it that the demand is about, or signed its manifest. What is true of one variant says nothing of another.
[[nodiscard]] std::vector<FieldError> unmet_demands(EvidencePolicy const& policy, std::vector<Statement> const& statements,
                                                    ReleaseFiles const& release);

}  // namespace fleet::trust
