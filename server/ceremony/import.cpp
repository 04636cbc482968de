#include "server/signing/queries.hpp"
#include "server/ceremony/import.hpp"

#include "core/base/names.hpp"
#include "core/trust/trusted_set.hpp"
#include "server/events/audit.hpp"
#include "server/catalog/queries.hpp"
#include "server/catalog/same_bytes.hpp"
#include "server/catalog/sets.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/metadata_rows.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace fleet::ceremony {
namespace json = boost::json;
namespace {

Error stale(std::string const& role, std::int64_t got, std::int64_t expected) {
  return {Kind::conflict, "stale_proposal", fmt::format("{}: version {}, expected {}", role, got, expected),
          "the metadata changed since it was prepared: prepare and sign again"};
}
Error unexpected(std::string detail) {
  return {Kind::conflict, "unexpected_change", std::move(detail), "fleetctl trust offline prepare makes what can be imported"};
}

bool same(trust::KeySet const& a, trust::KeySet const& b) { return a.keys == b.keys && a.threshold == b.threshold; }

bool same(trust::Target const& a, trust::Target const& b) { return a.length == b.length && a.hashes == b.hashes && a.custom == b.custom; }

/// With the signature of the key that is here, and of nobody who has no say.
Result<std::string> signed_file(signing::KeyRing& keys, trust::ProposedFile const& file, std::vector<trust::KeySet> const& by) {
  auto text = file.after;
  auto const key = keys.get(file.role);
  if (!key && key.error().code != "key_offline") return key.error();
  if (key) {
    FLEET_TRY(text, trust::cosign(text, std::array{trust::as_signer(*key)}));
  }
  return trust::keep_signatures(text, by);
}

bool names(trust::KeySet const& set, crypto::PublicKey const& key) {
  return std::any_of(set.keys.begin(), set.keys.end(), [&](auto const& one) { return one.second == key; });
}

Result<void> save(store::Tx& tx, std::string_view repository, std::string_view role, trust::Common const& what, std::string const& text, SysTime now) {
  if (what.expires <= now)
    return Error{Kind::expired, "metadata_expired", fmt::format("{} expired at {}", role, to_rfc3339(what.expires)), "prepare and sign again"};
  return tx.prepare(signing::kInsertMetadata).bind_all(repository, role, what.version, as_bytes(text), to_unix_ms(what.expires)).run();
}

Result<trust::TrustedSet> trusted_root(store::Tx& tx, std::string_view repository, SysTime now) {
  auto newest = tx.prepare(signing::kNewestMetadata);
  FLEET_TRY(bool const row, newest.bind_all(repository, "root").step());
  if (!row) return Error{Kind::corrupt, "no_metadata", "there is no root", "restore a backup"};
  return trust::TrustedSet::create(newest.blob(2), now, {});
}

/// A root judged by the one before, with the signature of the key that is here.
Result<std::string> follow_root(trust::TrustedSet& trusted, signing::KeyRing& keys, trust::ProposedFile const& file) {
  auto const before = trusted.root();
  FLEET_TRY(auto const claimed, trust::read_signed(as_bytes(file.after), file.after.size()));
  FLEET_TRY(auto const next, trust::decode_root(claimed));
  if (next.version != before.version + 1) return stale(file.role, next.version, before.version + 1);
  FLEET_TRY(auto text, signed_file(keys, file, {before.roles.at("root"), next.roles.at("root")}));
  FLEET_CHECK(trusted.update_root(as_bytes(text)));
  return text;
}

/// The directive root: the owners' keys for itself, and the key that waits here for directives.
Result<Imported> import_directive_root(store::Tx& tx, signing::KeyRing& keys, trust::Proposal const& proposal, SysTime now) {
  if (proposal.files.size() != 1 || proposal.files[0].role != signing::kDirectiveRoot) return unexpected("more than the directive root");
  FLEET_TRY(auto trusted, trusted_root(tx, "directive", now));
  FLEET_TRY(auto const text, follow_root(trusted, keys, proposal.files[0]));
  FLEET_TRY(auto const waiting, keys.open_rotations());
  auto const next = std::find_if(waiting.begin(), waiting.end(), [](auto const& one) { return one.first == signing::kDirectiveRoot; });
  for (auto const& [role, set] : trusted.root().roles) {
    // Its file makes room for the next one: a root that still names it could not be signed again.
    FLEET_TRY(auto const mine, keys.get(signing::kDirectiveRoot));
    bool const ours = names(set, mine.public_key()) || (next != waiting.end() && names(set, next->second));
    if (role == "root" && ours) return unexpected("the directive root names a key of this server for itself");
    if (role != "root" && (next == waiting.end() || set.threshold != 1 || set.keys.size() != 1 || !names(set, next->second)))
      return unexpected(fmt::format("the directive root names another key for {} than waits on this server", role));
  }
  FLEET_CHECK(save(tx, "directive", "root", trusted.root(), text, now));
  Imported out;
  out.roles.push_back(proposal.role);
  out.rotated = true;
  return out;
}

/// One import: the chain as it is judged, file by file.
class Importing {
public:
  Importing(store::Tx& tx, signing::KeyRing& keys, trust::Proposal const& proposal, events::Deed const& deed, catalog::Authority const& authority)
      : tx_(tx), keys_(keys), proposal_(proposal), deed_(deed), authority_(authority) {}

  Result<Imported> run() {
    FLEET_CHECK(load());
    for (auto const& file : proposal_.files) {
      FLEET_CHECK(file.role == "root" ? take_root(file) : file.role == "targets" ? take_targets(file) : take_model(file));
      out_.roles.push_back(file.role);
    }
    FLEET_CHECK(check_followed());
    FLEET_TRY(bool const moves, key_leaves());
    if (moves) out_.moved = proposal_.role;
    FLEET_CHECK(signing::sign_snapshot({tx_, keys_, deed_.at}));
    tx_.raise_policy_epoch();
    return std::move(out_);
  }

private:
  Result<void> load() {
    FLEET_TRY(auto root, trusted_root(tx_, "release", deed_.at));
    trusted_ = std::make_unique<trust::TrustedSet>(std::move(root));
    FLEET_TRY(auto const file, signing::newest_file(tx_.connection(), "release", "targets"));
    FLEET_TRY(targets_, trust::decode_targets(file));
    return {};
  }
  Result<void> keep(std::string const& role, trust::Common const& what, std::string const& text) { return save(tx_, "release", role, what, text, deed_.at); }

  Result<void> take_root(trust::ProposedFile const& file) {
    auto const before = trusted_->root();
    FLEET_TRY(auto const text, follow_root(*trusted_, keys_, file));
    for (auto const& [role, named] : before.roles)
      if (role != proposal_.role && !same(named, trusted_->root().roles.at(role)))
        return unexpected(fmt::format("the root changes who signs {}, the proposal is of {}", role, proposal_.role));
    return keep("root", trusted_->root(), text);
  }
  Result<void> take_targets(trust::ProposedFile const& file) {
    auto const& by = trusted_->root().roles.at("targets");
    FLEET_TRY(auto const text, signed_file(keys_, file, {by}));
    FLEET_TRY(auto const judged, trust::read_signed(as_bytes(text), text.size()));
    FLEET_CHECK(trust::verify_threshold(judged, by, "targets"));
    FLEET_TRY(auto next, trust::decode_targets(judged));
    if (next.version != targets_.version + 1) return stale("targets", next.version, targets_.version + 1);
    FLEET_CHECK(check_delegations(next));
    targets_ = std::move(next);
    return keep("targets", targets_, text);
  }
  Result<void> check_delegations(trust::Targets const& next) {
    if (!next.targets.empty() || next.succinct) return unexpected("targets lists files of its own");
    for (auto const& one : targets_.delegations)
      if (next.keys_of(one.name) == nullptr) return unexpected(fmt::format("{} is delegated no longer", one.name));
    for (auto const& one : next.delegations) {
      auto const* const before = targets_.keys_of(one.name);
      bool const may = one.name == proposal_.role && one.name.starts_with("m-");
      if (!may && (before == nullptr || !same(*before, one.keys))) return unexpected(fmt::format("targets changes who signs {}", one.name));
      if (!one.name.starts_with("m-") || !check_model_name(one.name.substr(2)) || !one.terminating ||
          one.paths != std::vector{signing::model_paths(one.name.substr(2))} || !one.path_hash_prefixes.empty())
        return unexpected(fmt::format("delegation {} covers other paths than its model's", one.name));
    }
    return {};
  }
  Result<void> take_model(trust::ProposedFile const& file) {
    if (file.role != proposal_.role || !file.role.starts_with("m-")) return unexpected(fmt::format("a file of role {}", file.role.substr(0, 66)));
    auto const* const by = targets_.keys_of(file.role);
    if (by == nullptr) return unexpected(fmt::format("{} is delegated to nobody", file.role));
    FLEET_TRY(auto const text, signed_file(keys_, file, {*by}));
    FLEET_TRY(auto const judged, trust::read_signed(as_bytes(text), text.size()));
    FLEET_CHECK(trust::verify_threshold(judged, *by, file.role));
    FLEET_TRY(auto const next, trust::decode_targets(judged));
    FLEET_TRY(auto const current, signing::version_of(tx_.connection(), "release", file.role));
    if (next.version != current + 1) return stale(file.role, next.version, current + 1);
    if (!next.delegations.empty() || next.succinct) return unexpected(fmt::format("{} delegates further", file.role));
    FLEET_CHECK(check_releases(file.role.substr(2), next));
    return keep(file.role, next, text);
  }
  /// Each entry is a release as this server knows it, and none that is approved is left out.
  Result<void> check_releases(std::string const& model, trust::Targets const& next) {
    std::size_t approved_before = 0;
    auto approved = tx_.prepare(signing::kApprovedDocuments);
    approved.bind(1, model);
    for (;;) {
      FLEET_TRY(bool const row, approved.step());
      if (!row) break;
      ++approved_before;
      if (!next.targets.contains(signing::release_path(model, approved.text(0))))
        return Error{Kind::conflict, "release_missing", fmt::format("{}@{} is approved and not listed", model, approved.text(0)),
                     "revoke it first, if it shall go"};
    }
    for (auto const& [path, target] : next.targets) {
      FLEET_TRY(auto const release, listed_release(model, path));
      FLEET_TRY(auto const expected, signing::target_of(path, release.document));
      if (!same(expected, target)) return unexpected(fmt::format("{} is listed with other bytes than were published", path));
      if (release.state == "draft") FLEET_CHECK(approve_listed(release));
    }
    return {};
  }
  Result<catalog::Release> listed_release(std::string const& model, std::string const& path) {
    auto const prefix = fmt::format("models/{}/", model);
    constexpr std::string_view kSuffix = "/release.json";
    if (!path.starts_with(prefix) || !path.ends_with(kSuffix) || path.size() <= prefix.size() + kSuffix.size())
      return unexpected(fmt::format("'{}' is no release of {}", path.substr(0, 200), model));
    auto const version = path.substr(prefix.size(), path.size() - prefix.size() - kSuffix.size());
    FLEET_TRY(auto release, catalog::load_release(tx_.connection(), model, version));
    if (release.state == "revoked") return Error{Kind::conflict, "revoked", fmt::format("release {}@{} is revoked", model, version), "prepare and sign again"};
    return release;
  }
  Result<void> approve_listed(catalog::Release const& release) {
    FLEET_CHECK(catalog::check_members_stand(tx_.connection(), release.n, fmt::format("{}@{}", release.model, release.version)));
    FLEET_TRY(auto const rules, catalog::load_model(tx_.connection(), release.model));
    auto count = tx_.prepare(catalog::kCountApprovals);
    FLEET_CHECK(count.bind(1, release.n).step());
    if (count.int64(0) < rules.approvals_required)
      return Error{Kind::conflict, "approvals_missing",
                   fmt::format("release {}@{} has {} approvals, {} asks for {}", release.model, release.version, count.int64(0), release.model,
                               rules.approvals_required),
                   fmt::format("fleetctl release approve {}@{}", release.model, release.version)};
    if (!authority_.administers) {
      FLEET_TRY(auto const document, wire::decode_release(release.document));
      FLEET_CHECK(catalog::check_not_revoked(tx_.connection(), document, authority_.model));
    }
    FLEET_CHECK(tx_.prepare(catalog::kSetReleaseState).bind_all(release.n, "approved").run());
    out_.approved.push_back(release.version);
    return events::record(tx_, deed_, "release.approved", fmt::format("release/{}@{}", release.model, release.version), R"({"state":"draft"})",
                          json::serialize(json::object{{"state", "approved"}, {"digest", release.digest.hex()}}));
  }
  /// What stands below a change of keys and did not come along must still be signed by enough of them.
  Result<void> check_followed() {
    auto const brought = [&](std::string_view role) { return std::find(out_.roles.begin(), out_.roles.end(), role) != out_.roles.end(); };
    if (brought("root") && !brought("targets")) {
      FLEET_TRY(auto const file, signing::newest_file(tx_.connection(), "release", "targets"));
      FLEET_CHECK(trust::verify_threshold(file, trusted_->root().roles.at("targets"), "targets"));
    }
    if (!proposal_.role.starts_with("m-") || brought(proposal_.role)) return {};
    FLEET_TRY(auto const file, signing::newest_file(tx_.connection(), "release", proposal_.role));
    return trust::verify_threshold(file, *targets_.keys_of(proposal_.role), proposal_.role);
  }
  /// Whether the role's key, if it is here, has no say any more.
  Result<bool> key_leaves() {
    auto const key = keys_.get(proposal_.role);
    if (!key && key.error().code == "key_offline") return false;
    if (!key) return key.error();
    auto const& named = proposal_.role.starts_with("m-") ? *targets_.keys_of(proposal_.role) : trusted_->root().roles.at(proposal_.role);
    return !names(named, key->public_key());
  }

  store::Tx& tx_;
  signing::KeyRing& keys_;
  trust::Proposal const& proposal_;
  events::Deed const& deed_;
  catalog::Authority const& authority_;
  std::unique_ptr<trust::TrustedSet> trusted_;
  trust::Targets targets_;
  Imported out_;
};

}  // namespace

Result<Imported> import_signed(store::Tx& tx, signing::KeyRing& keys, trust::Proposal const& proposal, events::Deed const& deed,
                               catalog::Authority const& authority) {
  bool const of_model = proposal.role.starts_with("m-");
  if (of_model) FLEET_CHECK(catalog::load_model(tx.connection(), proposal.role.substr(2)));
  bool const directive = proposal.role == signing::kDirectiveRoot;
  if (!of_model && !directive && proposal.role != "root" && proposal.role != "targets") return bad_role(proposal.role);
  FLEET_TRY(auto imported, directive ? import_directive_root(tx, keys, proposal, deed.at) : Importing(tx, keys, proposal, deed, authority).run());
  json::array roles, approved;
  for (auto const& role : imported.roles) roles.emplace_back(role);
  for (auto const& version : imported.approved) approved.emplace_back(version);
  auto const after =
      json::serialize(json::object{{"signed", std::move(roles)}, {"approved", std::move(approved)}, {"key_left_server", imported.moved || imported.rotated}});
  FLEET_CHECK(events::record(tx, deed, "trust.imported", "role/" + proposal.role, "", after));
  // The last thing, because nothing takes it back but the caller, who knows whether the rest was committed.
  if (imported.moved) keys.withhold(*imported.moved);
  if (imported.rotated) FLEET_CHECK(keys.use_prepared("directive-root"));
  return imported;
}

}  // namespace fleet::ceremony
