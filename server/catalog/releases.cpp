#include "server/catalog/releases.hpp"

#include "core/crypto/hash.hpp"
#include "server/blobs/queries.hpp"
#include "server/events/audit.hpp"
#include "server/catalog/attestations.hpp"
#include "server/catalog/queries.hpp"
#include "server/catalog/same_bytes.hpp"
#include "server/catalog/sets.hpp"
#include "server/registry/versions.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <set>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

constexpr std::size_t kLineageMax = 10'000;  // as the queries have it, and one more

std::string name_of(Release const& release) { return release.model + "@" + release.version; }

Release read_row(db::Statement const& row) {
  return {row.int64(0),  row.text(1),   row.text(2), row.digest(3),     row.text(4),  row.text(5),
          row.text(6),   row.text(7),   row.text(8), row.maybe_text(9), row.text(10), from_unix_ms(row.int64(11)),
          row.int64(12), row.digest(13)};
}

Result<std::optional<Release>> find_release(db::Connection& reader, std::string_view model, std::string_view version) {
  auto row = reader.prepare(kReleaseOf);
  FLEET_TRY(bool const found, row.bind_all(model, version).step());
  return found ? std::optional(read_row(row)) : std::nullopt;
}

/// The release that a word names: a version, an alias or `latest`.
Result<std::optional<Release>> find_named(db::Connection& reader, std::string_view model, std::string_view word) {
  FLEET_TRY(auto found, find_release(reader, model, word));
  if (found) return found;
  FLEET_TRY(auto const version, registry::version_named(reader, model, word));
  return find_release(reader, model, version);
}

/// What was kept beside the document. A text that cannot be read (a number beyond a double, of a server that let one in) must not take the whole
/// list with it.
json::value beside(std::string const& text, json::value fallback) {
  boost::system::error_code fault;
  auto value = json::parse(text, fault);
  return fault ? std::move(fallback) : std::move(value);
}

std::string datasets_json(std::vector<Dataset> const& datasets) {
  json::array out;
  for (auto const& dataset : datasets) out.push_back(json::object{{"name", dataset.name}, {"sha256", dataset.sha256.hex()}});
  return json::serialize(out);
}

Result<std::int64_t> next_counter(store::Tx& tx, std::string const& model) {
  auto raise = tx.prepare(kRaiseCounter);
  auto const counter = raise.bind(1, model).returned();
  if (!counter && counter.error().code == "no_row") return Error{Kind::not_found, "unknown_model", fmt::format("there is no model '{}'", model)};
  return counter;
}

/// Rows of the parents, looked up before the release is there: none is its own parent.
Result<std::vector<std::int64_t>> find_parents(db::Connection& reader, std::vector<Parent> const& parents) {
  std::vector<std::int64_t> out;
  for (auto const& parent : parents) {
    FLEET_TRY(auto const found, find_named(reader, parent.model, parent.version));
    if (!found)
      return Error{Kind::not_found, "unknown_parent", fmt::format("parent {}@{} is not known here", parent.model, parent.version),
                   "publish it first: the lineage must close"};
    if (found->state == "revoked")
      return Error{Kind::conflict, "parent_revoked", fmt::format("parent {}@{} is revoked", parent.model, parent.version), "train from a release that stands"};
    out.push_back(found->n);
  }
  return out;
}

Result<std::int64_t> insert(store::Tx& tx, Release const& release, wire::Protection protection) {
  auto statement = tx.prepare(kInsertRelease);
  statement.bind_all(release.model, release.version, release.digest, release.document, release.request, release.state, release.metrics, release.datasets,
                     release.inspection, release.commit, release.created_by, to_unix_ms(release.created_at), wire::protection_name(protection));
  return statement.returned();
}

/// Whose bytes and whose hardware it has, for those who ask by digest.
Result<void> index(store::Tx& tx, std::int64_t release_n, wire::Release const& document) {
  for (std::size_t variant = 0; variant < document.variants.size(); ++variant) {
    auto const number = static_cast<std::int64_t>(variant);
    for (auto const& file : document.variants[variant].files) {
      // Looked for before, too, by a worker; what nobody named may have gone since.
      FLEET_TRY(auto const held, tx.prepare(blobs::kHoldBlob).bind(1, file.sha256).affected());
      if (held == 0)
        return Error{Kind::unprocessable, "unknown_blob", fmt::format("file '{}': the server has no blob {}", file.name, file.sha256.hex()),
                     "upload the file first, then publish again"};
      FLEET_CHECK(tx.prepare(kInsertReleaseFile).bind_all(file.sha256, release_n, number).run());
    }
    for (auto const& hardware : document.variants[variant].hardware)
      FLEET_CHECK(tx.prepare(kInsertReleaseHardware).bind_all(release_n, hardware, number).run());
  }
  return {};
}

Result<Release> set_state(store::Tx& tx, Release const& release, std::string_view state) {
  FLEET_CHECK(tx.prepare(kSetReleaseState).bind_all(release.n, state).run());
  return load_release(tx.connection(), release.model, release.version);
}

Result<void> note(store::Tx& tx, events::Deed const& deed, std::string_view action, Release const& release, std::string_view before) {
  auto const state = [](std::string_view value) { return value.empty() ? std::string() : json::serialize(json::object{{"state", value}}); };
  return events::record(tx, deed, std::string(action), "release/" + name_of(release), state(before),
                            json::serialize(json::object{{"state", release.state}, {"digest", release.digest.hex()}}));
}

/// Signed into its model's role; every device must decide anew.
Result<void> sign(store::Tx& tx, signing::KeyRing& keys, Release const& release, SysTime now) {
  FLEET_CHECK(signing::sign_model_role(tx, keys, release.model, now));
  tx.raise_policy_epoch();
  return {};
}

/// False: the owners sign the model's releases, elsewhere.
Result<bool> is_signed_here(signing::KeyRing& keys, std::string const& model) {
  auto const key = keys.get("m-" + model);
  if (!key && key.error().code != "key_offline") return key.error();
  return key.has_value();
}

}  // namespace

Result<Release> load_release(db::Connection& reader, std::string_view model, std::string_view version) {
  FLEET_CHECK(load_model(reader, model));
  FLEET_TRY(auto const found, find_named(reader, model, version));
  if (!found)
    return Error{Kind::not_found, "unknown_release", fmt::format("there is no release {}@{}", model, version.substr(0, 64)),
                 fmt::format("fleetctl release list --model {}", model)};
  return *found;
}

Result<std::vector<Release>> list_releases(db::Connection& reader, std::string_view model, std::int64_t before, std::string_view state,
                                           std::string_view created_by, int limit) {
  FLEET_CHECK(load_model(reader, model));
  std::vector<Release> out;
  auto rows = reader.prepare(kListReleases);
  rows.bind_all(model, before, state, created_by, limit);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back(read_row(rows));
  }
}

Result<Published> publish(store::Tx& tx, signing::KeyRing& keys, Publication wanted, std::string const& inspection, events::Deed const& deed,
                          Authority const& authority) {
  auto& asked = wanted.release;
  FLEET_TRY(auto const model, load_model(tx.connection(), asked.model));
  FLEET_TRY(auto const there, find_release(tx.connection(), asked.model, asked.version));
  if (there && there->request == wanted.request) return Published{*there, false};
  if (there)
    return Error{Kind::conflict, "release_exists", fmt::format("release {} exists with other content (digest {})", name_of(*there), there->digest.hex()),
                 "a release never changes: take another version"};
  if (model.aliases.contains(asked.version))
    return Error{Kind::conflict, "version_is_alias", fmt::format("{} is an alias of model {}, for {}", asked.version, model.name, model.aliases.at(asked.version)),
                 "take another version, or remove the alias: fleetctl model set"};
  FLEET_CHECK(check_kind(model, asked, !wanted.attestations.empty()));
  FLEET_TRY(auto const members, resolve_members(tx.connection(), asked));
  if (!authority.administers || wanted.reason.empty()) FLEET_CHECK(check_not_revoked(tx.connection(), asked, authority.model));
  FLEET_TRY(auto const statements, judge_evidence(model, wanted));
  FLEET_CHECK(check_parents(tx.connection(), statements));
  FLEET_TRY(auto const parents, find_parents(tx.connection(), wanted.parents));
  auto document = asked;
  FLEET_TRY(document.release_counter, next_counter(tx, asked.model));
  FLEET_CHECK(wire::check_floor_of(document));
  if (!document.is_set()) document.protection = model.protection;  // a set's members have their own
  FLEET_CHECK(wire::check_protection_of(document));
  Release release;
  release.model = asked.model;
  release.version = asked.version;
  release.document = wire::encode(document);
  release.digest = crypto::sha256(release.document);
  // Where the owners sign, a release is a draft until they did (ceremony.hpp).
  FLEET_TRY(bool const here, is_signed_here(keys, asked.model));
  release.state = model.approvals_required > 0 || !here ? "draft" : "approved";
  release.metrics = wanted.metrics;
  release.datasets = datasets_json(wanted.datasets);
  release.inspection = inspection;
  if (!wanted.commit.empty()) release.commit = wanted.commit;
  release.created_by = deed.actor;
  release.created_at = deed.at;
  release.request = wanted.request;
  FLEET_TRY(release.n, insert(tx, release, document.protection));
  FLEET_CHECK(index(tx, release.n, document));
  FLEET_CHECK(keep_members(tx, release.n, document, members));
  FLEET_CHECK(tx.prepare(kSetKind).bind_all(release.model, document.is_set() ? "set" : "model").run());
  for (std::size_t i = 0; i < parents.size(); ++i) FLEET_CHECK(tx.prepare(kInsertParent).bind_all(release.n, parents[i], wanted.parents[i].relation).run());
  FLEET_CHECK(keep_evidence(tx, release.n, statements, wanted.attestations));
  if (release.state == "approved") FLEET_CHECK(sign(tx, keys, release, deed.at));
  auto why = deed;
  if (!wanted.reason.empty()) why.reason = wanted.reason;
  FLEET_CHECK(note(tx, why, "release.published", release, ""));
  return Published{std::move(release), true};
}

Result<Release> approve(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, events::Deed const& deed,
                        Authority const& authority) {
  FLEET_TRY(auto const release, load_release(tx.connection(), model, version));
  if (release.state == "revoked") return Error{Kind::conflict, "revoked", fmt::format("release {} is revoked", name_of(release)), "publish a new version"};
  if (release.state == "approved") return release;
  if (release.created_by == deed.actor)
    return Error{Kind::forbidden, "own_release", fmt::format("{} published {} and cannot approve it", deed.actor, name_of(release)), "ask another approver"};
  FLEET_CHECK(check_members_stand(tx.connection(), release.n, name_of(release)));
  if (!authority.administers) {
    FLEET_TRY(auto const document, wire::decode_release(release.document));
    FLEET_CHECK(check_not_revoked(tx.connection(), document, authority.model));
  }
  FLEET_TRY(auto const approvals, tx.prepare(kInsertApproval).bind_all(release.n, deed.actor, deed.reason, to_unix_ms(deed.at)).affected());
  bool const fresh = approvals > 0;
  FLEET_TRY(auto const rules, load_model(tx.connection(), model));
  auto count = tx.prepare(kCountApprovals);
  FLEET_CHECK(count.bind(1, release.n).step());
  FLEET_TRY(bool const here, is_signed_here(keys, release.model));
  bool const enough = here && count.int64(0) >= rules.approvals_required;
  if (!fresh && !enough) return release;
  FLEET_TRY(auto const after, set_state(tx, release, enough ? "approved" : "draft"));
  if (enough) FLEET_CHECK(sign(tx, keys, after, deed.at));
  FLEET_CHECK(note(tx, deed, "release.approved", after, release.state));
  return after;
}

Result<Release> set_revoked(store::Tx& tx, Release const& release, events::Deed const& deed) {
  FLEET_TRY(auto after, set_state(tx, release, "revoked"));
  FLEET_CHECK(note(tx, deed, "release.revoked", after, release.state));
  return after;
}

Result<void> sign_without(store::Tx& tx, signing::KeyRing& keys, std::set<std::string> const& models, SysTime now) {
  for (auto const& model : models) {
    FLEET_TRY(bool const here, is_signed_here(keys, model));
    if (here) FLEET_CHECK(signing::sign_model_role(tx, keys, model, now));
  }
  if (!models.empty()) tx.raise_policy_epoch();  // where the owners sign, the server stops handing it out at once
  return {};
}

Result<std::string> release_json(db::Connection& reader, Release const& release, std::string_view only_model) {
  json::array parents;
  auto rows = reader.prepare(kParents);
  rows.bind_all(release.n, only_model);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) break;
    parents.push_back(json::object{{"model", rows.text_view(0)}, {"version", rows.text_view(1)}, {"relation", rows.text_view(2)}});
  }
  auto document = json::parse(release.document).as_object();  // our own text
  bool const is_set = document.contains("members");
  for (auto const& [key, none] : {std::pair<std::string_view, json::value>{"variants", json::array()}, {"manifest", json::object()}})
    if (is_set) document[key] = none;
  for (auto& variant : document.at("variants").as_array())
    for (auto& file : variant.at("files").as_array()) file.as_object().emplace("executable", false);  // where it is not said
  json::object out{{"model", release.model},
                   {"version", release.version},
                   {"state", release.state},
                   {"digest", release.digest.hex()},
                   {"variants", document.at("variants")},
                   {"parents", std::move(parents)},
                   {"datasets", beside(release.datasets, json::array())},
                   {"metrics", beside(release.metrics, json::object())},
                   {"commit", nullptr},
                   {"manifest", document.at("manifest")},
                   {"release_counter", document.at("release_counter")},
                   {"inspection", beside(release.inspection, nullptr)},
                   {"created_by", release.created_by},
                   {"created_at", to_rfc3339(release.created_at)}};
  if (release.commit) out["commit"] = *release.commit;
  if (is_set) {
    FLEET_TRY(auto const members, members_json(reader, release.n, only_model));
    out["members"] = beside(members, json::array());
  }
  FLEET_TRY(auto const evidence, evidence_json(reader, release.n, false));
  out["attestations"] = beside(evidence, json::array());
  return json::serialize(out);
}

Result<std::string> lineage_json(db::Connection& reader, Release const& release, std::string_view only_model) {
  json::object out{{"release", name_of(release)}, {"state", release.state}};
  bool cut = false;
  for (auto const& [key, query] : {std::pair{"ancestors", kAncestors}, std::pair{"descendants", kDescendants}}) {
    json::array list;
    auto rows = reader.prepare(query);
    rows.bind_all(release.n, only_model);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      cut = cut || list.size() == kLineageMax;
      if (list.size() == kLineageMax) break;
      list.push_back(json::object{{"model", rows.text_view(0)},
                                  {"version", rows.text_view(1)},
                                  {"relation", rows.text_view(2)},
                                  {"of", rows.text(3) + "@" + rows.text(4)},
                                  {"state", rows.text_view(5)}});
    }
    out[key] = std::move(list);
  }
  out["cut"] = cut;
  FLEET_TRY(auto const members, members_json(reader, release.n, only_model));
  FLEET_TRY(auto const sets, sets_json(reader, release.n, only_model));
  out["members"] = beside(members, json::array());
  out["sets"] = beside(sets, json::array());
  return json::serialize(out);
}

}  // namespace fleet::catalog
