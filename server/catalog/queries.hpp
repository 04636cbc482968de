#pragma once

#include "server/store/db/db.hpp"

#include <array>

namespace fleet::catalog {

inline constexpr db::Query kGetModel{"get_model", "SELECT name, approvals_required, aliases, revision, created_at, evidence, kind, protected FROM models WHERE name = ?1"};
inline constexpr db::Query kListModels{
    "list_models", "SELECT name, approvals_required, aliases, revision, created_at, evidence, kind, protected FROM models WHERE name > ?1 AND (?3 = '' OR name = ?3) AND (?4 = '' OR kind = ?4) ORDER BY name LIMIT ?2"};
inline constexpr db::Query kInsertModel{"insert_model",
                                        "INSERT INTO models (name, approvals_required, aliases, created_at, evidence, protected) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"};
inline constexpr db::Query kUpdateModel{"update_model",
                                        "UPDATE models SET approvals_required = ?2, aliases = ?3, evidence = ?4, protected = ?5, revision = revision + 1 WHERE name = ?1"};
inline constexpr db::Query kSetKind{"set_model_kind", "UPDATE models SET kind = ?2 WHERE name = ?1 AND kind <> ?2"};
inline constexpr db::Query kStandingOf{"standing_of", "SELECT alias, selector, policy FROM model_standing WHERE model = ?1 ORDER BY alias"};
inline constexpr db::Query kAddStanding{"add_standing", "INSERT INTO model_standing (model, alias, selector, policy) VALUES (?1, ?2, ?3, ?4)"};
inline constexpr db::Query kDropStanding{"drop_standing", "DELETE FROM model_standing WHERE model = ?1"};
inline constexpr db::Query kRaiseCounter{"raise_release_counter",
                                         "UPDATE models SET release_counter = release_counter + 1 WHERE name = ?1 RETURNING release_counter"};

#define FLEET_RELEASE_COLUMNS \
  "SELECT n, model, version, digest, document, state, metrics, datasets, inspection, commit_id, created_by, created_at, revision, request FROM releases "
inline constexpr db::Query kReleaseOf{"release_of", FLEET_RELEASE_COLUMNS "WHERE model = ?1 AND version = ?2"};
inline constexpr db::Query kListReleases{
    "list_releases", FLEET_RELEASE_COLUMNS "WHERE model = ?1 AND n < ?2 AND (?3 = '' OR state = ?3) AND (?4 = '' OR created_by = ?4) ORDER BY n DESC LIMIT ?5"};
#undef FLEET_RELEASE_COLUMNS
inline constexpr db::Query kAllDocuments{"all_documents", "SELECT model, version, digest, document, state FROM releases ORDER BY n"};
inline constexpr db::Query kDocumentByDigest{"document_by_digest", "SELECT document FROM releases WHERE model = ?1 AND version = ?2 AND digest = ?3"};
inline constexpr db::Query kInsertRelease{
    "insert_release",
    "INSERT INTO releases (model, version, digest, document, request, state, metrics, datasets, inspection, commit_id, created_by, created_at, protected) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) RETURNING n"};
inline constexpr db::Query kSetReleaseState{"set_release_state", "UPDATE releases SET state = ?2, revision = revision + 1 WHERE n = ?1"};
inline constexpr db::Query kReleasesWithFile{
    "releases_with_file",
    "SELECT DISTINCT f.release FROM release_files f CROSS JOIN releases r ON r.n = f.release WHERE f.sha256 = ?1 AND r.state = ?2 ORDER BY f.release DESC",
    "SELECT DISTINCT f.release FROM release_files f JOIN releases r ON r.n = f.release WHERE f.sha256 = ?1 AND r.state = ?2 ORDER BY f.release DESC"};
inline constexpr db::Query kReleaseByRow{"release_by_row", "SELECT model, version, document FROM releases WHERE n = ?1"};
inline constexpr db::Query kInsertReleaseFile{
    "insert_release_file", "INSERT INTO release_files (sha256, release, variant) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"};
inline constexpr db::Query kInsertReleaseHardware{
    "insert_release_hardware", "INSERT INTO release_hardware (release, hardware, variant) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"};
inline constexpr db::Query kInsertParent{"insert_parent", "INSERT INTO release_parents (release, parent, relation) VALUES (?1, ?2, ?3)"};
inline constexpr db::Query kParents{
    "release_parents", "SELECT r.model, r.version, p.relation FROM release_parents p JOIN releases r ON r.n = p.parent WHERE p.release = ?1 AND (?2 = '' OR r.model = ?2) ORDER BY r.n"};
inline constexpr db::Query kInsertMember{"insert_member", "INSERT INTO release_members (release, position, member, model, comes_after) VALUES (?1, ?2, ?3, ?4, ?5)"};
inline constexpr db::Query kMembersOf{
    "members_of", "SELECT r.model, r.version, r.digest, m.comes_after, r.state FROM release_members m JOIN releases r ON r.n = m.member WHERE m.release = ?1 ORDER BY m.position"};
inline constexpr db::Query kSetsOf{"sets_of",
                                   "SELECT r.model, r.version, r.state FROM release_members m JOIN releases r ON r.n = m.release WHERE m.member = ?1 AND (?2 = '' OR r.model = ?2) "
                                   "ORDER BY m.release DESC LIMIT 100"};
inline constexpr db::Query kInsertAttestation{
    "insert_attestation", "INSERT INTO attestations (release, position, kind, predicate_type, signers, sha256, envelope) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"};
inline constexpr db::Query kNamedRelease{
    "named_release", "SELECT r.n FROM releases r JOIN named_releases d ON d.release = r.n AND d.device = ?1 WHERE r.digest = ?2"};
inline constexpr db::Query kAttestations{"attestations_of",
                                         "SELECT kind, predicate_type, signers, sha256, envelope FROM attestations WHERE release = ?1 ORDER BY position"};
inline constexpr db::Query kInsertApproval{"insert_release_approval",
                                           "INSERT INTO release_approvals (release, actor, reason, approved_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"};
inline constexpr db::Query kCountApprovals{"count_release_approvals", "SELECT count(*) FROM release_approvals WHERE release = ?1"};
/// Each edge of the graph above a release, and below it: child and parent by name; of one model alone, unless ?2 is empty.
inline constexpr db::Query kAncestors{
    "release_ancestors",
    "WITH RECURSIVE up(release, parent, relation) AS (SELECT release, parent, relation FROM release_parents WHERE release = ?1 "
    "UNION SELECT p.release, p.parent, p.relation FROM release_parents p JOIN up ON p.release = up.parent) "
    "SELECT r.model, r.version, up.relation, c.model, c.version, r.state FROM up JOIN releases r ON r.n = up.parent JOIN releases c ON c.n = up.release "
    "WHERE ?2 = '' OR (r.model = ?2 AND c.model = ?2) ORDER BY r.n DESC, c.n DESC, up.relation LIMIT 10001"};
inline constexpr db::Query kDescendants{
    "release_descendants",
    "WITH RECURSIVE down(release, parent, relation) AS (SELECT release, parent, relation FROM release_parents WHERE parent = ?1 "
    "UNION SELECT p.release, p.parent, p.relation FROM release_parents p JOIN down ON p.parent = down.release) "
    "SELECT r.model, r.version, down.relation, c.model, c.version, r.state FROM down JOIN releases r ON r.n = down.release JOIN releases c ON c.n = down.parent "
    "WHERE ?2 = '' OR (r.model = ?2 AND c.model = ?2) ORDER BY r.n, c.n, down.relation LIMIT 10001"};
/// A release and everything made from it: parents first.
inline constexpr db::Query kWithDescendants{
    "release_with_descendants",
    "WITH RECURSIVE down(n) AS (SELECT CAST(?1 AS BIGINT) UNION SELECT p.release FROM release_parents p JOIN down ON p.parent = down.n) "
    "SELECT r.model, r.version, r.state FROM down JOIN releases r ON r.n = down.n ORDER BY r.n"};
inline constexpr db::Query kCountRunning{"count_running", "SELECT coalesce((SELECT devices FROM running_counts WHERE model = ?1 AND version = ?2), 0)"};
inline constexpr db::Query kRolloutsOfRelease{
    "rollouts_of_release",
    "SELECT id, state FROM rollouts WHERE n IN (SELECT n FROM rollouts WHERE model = ?1 AND (version = ?2 OR against = (SELECT n FROM releases WHERE model = ?1 AND version = ?2)) "
    "UNION SELECT o.n FROM release_members m JOIN releases s ON s.n = m.release JOIN rollouts o ON o.model = s.model AND o.version = s.version "
    "WHERE m.member = (SELECT n FROM releases WHERE model = ?1 AND version = ?2)) AND started_at IS NOT NULL AND state <> 'rolled_back' ORDER BY moment DESC"};

inline constexpr auto kQueries = std::to_array<db::Query>({kGetModel, kListModels, kInsertModel, kUpdateModel, kSetKind, kStandingOf, kAddStanding, kDropStanding, kRaiseCounter, kReleaseOf, kListReleases, kAllDocuments, kDocumentByDigest, kInsertRelease, kSetReleaseState, kInsertReleaseFile, kInsertReleaseHardware, kReleasesWithFile, kReleaseByRow, kInsertParent, kParents, kInsertMember, kMembersOf, kSetsOf, kInsertAttestation, kAttestations, kInsertApproval, kCountApprovals, kAncestors, kDescendants, kWithDescendants, kCountRunning, kRolloutsOfRelease, kNamedRelease});

}  // namespace fleet::catalog
