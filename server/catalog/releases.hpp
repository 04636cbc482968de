#pragma once

#include "core/wire/release.hpp"
#include "server/catalog/models.hpp"

#include <optional>
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
};

/// How a release may come from another. @errors unprocessable (code `bad_statement`)
Result<void> check_relation(std::string_view relation);
/// @errors bad_input with every wrong place
Result<Publication> decode_publication(std::string_view model, std::string_view body);
/// Looks at the blobs behind a publication: known, of the announced size, and what their names claim. Reads files: worker threads only.
/// @returns the inspection as JSON. @errors unprocessable (codes `unknown_blob`, `size_mismatch`, `not_onnx`), too_large
Result<std::string> inspect_files(db::Connection& reader, Fs& fs, std::string const& data_dir, Publication const& wanted,
                                  std::string const& actor = {}, std::string const& model = {});

struct Published {
  Release release;
  bool fresh = true;  ///< false: the same was there already
};
/// Writes release.json with the model's next counter, and signs it unless the model asks for approvals.
/// @errors not_found (unknown_model, unknown_parent), conflict (release_exists, parent_revoked), and what attestations.hpp says of evidence
Result<Published> publish(store::Tx& tx, signing::KeyRing& keys, Publication wanted, std::string const& inspection, Cause const& cause);

/// @errors not_found (code `unknown_release`, `unknown_model`)
Result<Release> load_release(db::Connection& reader, std::string_view model, std::string_view version);
/// Newest first, below row `before`; empty filters select all.
Result<std::vector<Release>> list_releases(db::Connection& reader, std::string_view model, std::int64_t before, std::string_view state,
                                           std::string_view created_by, int limit);
/// One more approval; signs when it was the last that the model asks for. The publisher may not approve its own.
/// @errors forbidden (code `own_release`), conflict (code `revoked`)
Result<Release> approve(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Cause const& cause);
/// Takes the release out of the signed metadata; rollouts of it stop, devices that run it keep it until a rollout says otherwise.
Result<Release> revoke(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Cause const& cause);

/// Revokes several, each for its own reason; each model's role is signed once.
Result<void> revoke_each(store::Tx& tx, signing::KeyRing& keys, std::vector<std::pair<Release, std::string>> const& releases, Cause const& cause);
/// Revokes a release and everything made from it, at once. @returns a list of `{"model","version","was","devices","rollouts":[{"id","state"}]}`: how
/// many devices run each now, and the rollouts that brought it, newest first.
Result<std::string> recall(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Cause const& cause);

/// The object `release` of the API.
Result<std::string> release_json(db::Connection& reader, Release const& release);
/// `{"release","state","ancestors","descendants","cut"}`, each relative with its state; the nearest kLineageMax edges each way, and whether there are more.
Result<std::string> lineage_json(db::Connection& reader, Release const& release);

}  // namespace fleet::catalog
