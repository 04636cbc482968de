#pragma once

#include "core/wire/release.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/catalog/models.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fleet::catalog {

struct Parent {
  std::string model, version, relation;
};
struct Dataset {
  std::string name;
  Digest sha256;
};

/// A release as its row has it. It never changes but for its state.
struct Release {
  std::int64_t n = 0;
  std::string model, version;
  Digest digest;
  std::string document;           ///< release.json
  std::string state;              ///< draft | approved | revoked
  std::string metrics = "{}";     ///< JSON
  std::string datasets = "[]";    ///< JSON
  std::string inspection = "{}";  ///< JSON: SHA-256 of a file -> what it says of itself
  std::optional<std::string> commit;
  std::string created_by;
  SysTime created_at{};
  std::int64_t revision = 1;
  Digest request;  ///< SHA-256 of what was asked to be published
};

/// The body of a publication, decoded and checked for itself.
struct Publication {
  wire::Release release;  ///< without its counter
  std::vector<Parent> parents;
  std::vector<Dataset> datasets;
  std::string metrics = "{}";
  std::string commit;
  Digest request;
  std::vector<Bytes> attestations = {};  ///< DSSE envelopes as received
  std::string reason = {};               ///< an administrator's, why bytes that were revoked may come back
};

/// Who stands behind a change of releases, beyond the deed.
struct Authority {
  bool administers = false;  ///< may let revoked bytes pass, with a reason
  std::string model = {};    ///< the one that the caller may know of and change; empty: all
};

/// How a release may come from another. @errors unprocessable (code `bad_statement`)
Result<void> check_relation(std::string_view relation);
/// @errors bad_input with every wrong place
Result<Publication> decode_publication(std::string_view model, std::string_view body);
/// Looks at the blobs behind a publication: known, of the announced size, and what their names claim. Reads files: worker threads only.
/// @returns the inspection as JSON. @errors unprocessable (codes `unknown_blob`, `size_mismatch`, `not_onnx`), too_large
Result<std::string> inspect_files(db::Connection& reader, Fs& fs, blobs::BlobStore& store, Publication const& wanted,
                                  std::string const& actor, std::string const& model);

struct Published {
  Release release;
  bool fresh = true;  ///< false: the same was there already
};
/// Writes release.json with the model's next counter, and signs it unless the model asks for approvals.
/// @errors not_found (unknown_model, unknown_parent), conflict (release_exists, version_is_alias, parent_revoked, revoked_bytes), and what attestations.hpp says of evidence,
///   sets.hpp of sets
Result<Published> publish(store::Tx& tx, signing::KeyRing& keys, Publication wanted, std::string const& inspection, events::Deed const& deed,
                          Authority const& authority = {});

/// @param version  or an alias of the model, or `latest`. @errors not_found (code `unknown_release`, `unknown_model`)
Result<Release> load_release(db::Connection& reader, std::string_view model, std::string_view version);
/// Newest first, below row `before`; empty filters select all.
Result<std::vector<Release>> list_releases(db::Connection& reader, std::string_view model, std::int64_t before, std::string_view state,
                                           std::string_view created_by, int limit);
/// One more approval; signs when it was the last that the model asks for. The publisher may not approve its own.
/// @errors forbidden (code `own_release`), conflict (codes `revoked`, `revoked_bytes`, `member_revoked`)
Result<Release> approve(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, events::Deed const& deed,
                        Authority const& authority = {});
/// The steps of `revoke`: one release, with its entry; and each model's role signed once without those.
Result<Release> set_revoked(store::Tx& tx, Release const& release, events::Deed const& deed);
Result<void> sign_without(store::Tx& tx, signing::KeyRing& keys, std::set<std::string> const& models, SysTime now);
/// What goes with a release that is revoked.
struct Revocation {
  bool recall = false;                 ///< everything made from it, too
  std::vector<std::string> keep = {};  ///< `M@V`: releases of the same bytes that an administrator keeps
  std::string only_model = {};         ///< nothing of another model is touched; empty: no such limit
};
/// One of the releases that were revoked together, and what it was before.
struct Revoked {
  Release release;
  std::string was;
};
/// Takes the release out of the signed metadata, and with it approved releases that hold the same bytes under another name; rollouts of them stop, devices
/// that run them keep them until a rollout says otherwise. All at once, each with its own entry in the audit log.
/// @returns those that were, or are, revoked: the release itself first
Result<std::vector<Revoked>> revoke(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Revocation const& how,
                                    events::Deed const& deed);
/// `{"items":[{"model","version","was","devices","rollouts":[{"id","state"}]}],"next":null}`: how many devices run each now, and the rollouts that brought
/// it, newest first.
Result<std::string> revoked_json(db::Connection& reader, std::vector<Revoked> const& revoked);

/// The object `release` of the API. @param only_model  parents of this model alone; empty: all
Result<std::string> release_json(db::Connection& reader, Release const& release, std::string_view only_model);
/// `{"release","state","ancestors","descendants","cut"}`, each relative with its state; the nearest kLineageMax edges each way, and whether there are more.
/// @param only_model  edges between releases of this model alone; empty: all
Result<std::string> lineage_json(db::Connection& reader, Release const& release, std::string_view only_model);

}  // namespace fleet::catalog
