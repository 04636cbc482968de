#include "server/signing/queries.hpp"
#include "server/signing/repository.hpp"

#include "core/trust/compose.hpp"
#include "core/trust/metadata.hpp"
#include "server/signing/trust_status.hpp"

#include "server/signing/metadata_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::signing {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, 4> kTopRoles{"root", "targets", "snapshot", "timestamp"};

bool names(trust::KeySet const& set, trust::PublicKey const& key) {
  return std::any_of(set.keys.begin(), set.keys.end(), [&](auto const& one) { return one.second == key; });
}

/// Whose directives devices take.
Result<trust::KeySet> directive_signers(db::Connection& reader) {
  FLEET_TRY(auto const file, newest_file(reader, "directive", "root"));
  FLEET_TRY(auto const root, trust::decode_root(file));
  return root.roles.at("targets");
}

bool is_offline(Error const& error) { return error.code == "key_offline"; }

/// The keys of a role for new metadata above it: the server's own, or, where they lie elsewhere, those that the metadata there is names.
/// @param kept  reads the latter
template <class Kept>
Result<trust::RoleSpec> role_spec(KeyRing& keys, std::string const& key_name, Kept const& kept) {
  auto const key = keys.get(key_name);
  if (key) return trust::RoleSpec{{key->public_key()}, 1};
  if (!is_offline(key.error())) return key.error();
  return kept();
}

/// @param old  the key before this one, when the root's own key changes
Result<void> sign_root(Signing const& signing, std::string const& repository, std::int64_t version, std::optional<crypto::SigningKey> const& old = {}) {
  bool const directive = repository == "directive";
  trust::RootSpec spec{version, signing.now + kYear, {}, directive ? kDirectiveRepository : ""};
  for (auto const name : kTopRoles) {
    std::string const role(name);
    auto const kept = [&]() -> Result<trust::RoleSpec> {
      FLEET_TRY(auto const file, newest_file(signing.tx.connection(), repository, "root"));
      FLEET_TRY(auto const root, trust::decode_root(file));
      return spec_of(root.roles.at(role));
    };
    FLEET_TRY(auto spec_of_role, role_spec(signing.keys, directive ? kDirectiveRoot : role, kept));
    spec.roles.emplace(role, std::move(spec_of_role));
  }
  FLEET_TRY(auto const key, signing.keys.get(directive ? kDirectiveRoot : "root"));
  std::vector signers{key};
  if (old) signers.push_back(*old);
  return save(signing, repository, "root", version, trust::compose_root(spec, signers));
}

Result<void> sign_targets(Signing const& signing) {
  std::vector<trust::Delegation> delegations;
  FLEET_TRY(auto const models, model_names(signing.tx.connection()));
  for (auto const& model : models) {
    auto const kept = [&]() -> Result<trust::RoleSpec> {
      FLEET_TRY(auto const file, newest_file(signing.tx.connection(), "release", "targets"));
      FLEET_TRY(auto const targets, trust::decode_targets(file));
      auto const* const set = targets.keys_of("m-" + model);
      if (set == nullptr) return Error{Kind::unavailable, "key_offline", fmt::format("nobody knows the keys of role m-{}", model), "import the role's keys"};
      return spec_of(*set);
    };
    FLEET_TRY(auto spec, role_spec(signing.keys, "m-" + model, kept));
    delegations.push_back({"m-" + model, std::move(spec), {model_paths(model)}, true});
  }
  FLEET_TRY(auto const version, next_version(signing, "targets"));
  FLEET_TRY(auto const key, signing.keys.get("targets"));
  std::array const signers{key};
  return save(signing, "release", "targets", version, trust::compose_targets(version, signing.now + kYear, {}, delegations, signers));
}

Result<void> sign_model(Signing const& signing, std::string const& model) {
  std::vector<trust::Target> targets;
  auto approved = signing.tx.prepare(kApprovedDocuments);
  approved.bind(1, model);
  for (;;) {
    FLEET_TRY(bool const row, approved.step());
    if (!row) break;
    FLEET_TRY(auto target, target_of(release_path(model, approved.text(0)), approved.text(1)));
    targets.push_back(std::move(target));
  }
  auto const role = "m-" + model;
  FLEET_TRY(auto const version, next_version(signing, role));
  FLEET_TRY(auto const key, signing.keys.get(role));
  std::array const signers{key};
  return save(signing, "release", role, version, trust::compose_targets(version, signing.now + kYear, targets, {}, signers));
}

/// What names the role's new key, and what it signs.
Result<void> sign_rotated(Signing const& signing, std::string const& role, crypto::SigningKey const& old) {
  if (role.starts_with("m-")) {
    FLEET_CHECK(sign_model(signing, role.substr(2)));
    FLEET_CHECK(sign_targets(signing));
    return sign_snapshot(signing);
  }
  std::string const repository = role == kDirectiveRoot ? "directive" : "release";
  FLEET_TRY(auto const version, version_of(signing.tx.connection(), repository, "root"));
  bool const of_root = role == "root" || role == kDirectiveRoot;
  FLEET_CHECK(sign_root(signing, repository, version + 1, of_root ? std::optional(old) : std::nullopt));
  if (of_root) return {};
  if (role == "targets") FLEET_CHECK(sign_targets(signing));
  return role == "timestamp" ? sign_timestamp(signing) : sign_snapshot(signing);
}

/// Past half of its lifetime, or signed while the clock was ahead: that would be fresh for too long.
Result<bool> is_due(Signing const& signing, std::string const& repository, std::string const& role) {
  auto newest = signing.tx.prepare(kNewestMetadata);
  newest.bind_all(repository, role);
  FLEET_TRY(bool const row, newest.step());
  if (!row) return false;
  auto const signed_at = from_unix_ms(newest.int64(1)) - lifetime_of(role);
  return signed_at + lifetime_of(role) / 2 <= signing.now || signed_at > signing.now + 1h;
}

/// What a role's key signed. A role whose key lies elsewhere is signed there and passed over here: false.
Result<bool> unless_offline(Result<void> const& done) {
  if (done) return true;
  if (is_offline(done.error())) return false;
  return done.error();
}

Result<int> refresh_roots(Signing const& signing) {
  int count = 0;
  for (std::string const repository : {"release", "directive"}) {
    FLEET_TRY(bool const due, is_due(signing, repository, "root"));
    FLEET_TRY(bool const ours, holds_role(signing.tx.connection(), signing.keys, repository == "directive" ? kDirectiveRoot : "root"));
    if (!due || !ours) continue;
    FLEET_TRY(auto const version, version_of(signing.tx.connection(), repository, "root"));
    FLEET_TRY(bool const done, unless_offline(sign_root(signing, repository, version + 1)));
    count += done ? 1 : 0;
  }
  return count;
}

/// Models' roles and the targets above them, where they are due or, after a restore, all.
Result<int> refresh_targets(Signing const& signing, bool all) {
  int count = 0;
  FLEET_TRY(auto const models, model_names(signing.tx.connection()));
  for (auto const& model : models) {
    FLEET_TRY(bool const due, is_due(signing, "release", "m-" + model));
    if (!due && !all) continue;
    FLEET_TRY(bool const done, unless_offline(sign_model(signing, model)));
    count += done ? 1 : 0;
  }
  FLEET_TRY(bool const due, is_due(signing, "release", "targets"));
  if (!due && !all) return count;
  FLEET_TRY(bool const done, unless_offline(sign_targets(signing)));
  return count + (done ? 1 : 0);
}

}  // namespace

Result<void> create_repositories(store::Tx& tx, KeyRing& keys, SysTime now) {
  Signing const signing{tx, keys, now};
  for (auto const role : kTopRoles) FLEET_CHECK(keys.get_or_create(std::string(role)));
  FLEET_CHECK(keys.get_or_create(kDirectiveRoot));
  FLEET_CHECK(sign_root(signing, "release", 1));
  FLEET_CHECK(sign_root(signing, "directive", 1));
  FLEET_CHECK(sign_targets(signing));
  return sign_snapshot(signing);
}

Result<void> add_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now) {
  Signing const signing{tx, keys, now};
  // Where the owners sign the targets, they name who signs for a new model, too: ceremony.hpp.
  if (auto const above = keys.get("targets"); !above && is_offline(above.error())) return {};
  FLEET_CHECK(keys.get_or_create("m-" + model));
  FLEET_CHECK(sign_model(signing, model));
  FLEET_CHECK(sign_targets(signing));
  return sign_snapshot(signing);
}

Result<void> sign_model_role(store::Tx& tx, KeyRing& keys, std::string const& model, SysTime now) {
  Signing const signing{tx, keys, now};
  FLEET_CHECK(sign_model(signing, model));
  return sign_snapshot(signing);
}

Result<int> refresh_online_roles(store::Tx& tx, KeyRing& keys, SysTime now) {
  Signing const signing{tx, keys, now};
  FLEET_TRY(int const roots, refresh_roots(signing));
  FLEET_TRY(int const below, refresh_targets(signing, false));
  FLEET_TRY(bool const snapshot_due, is_due(signing, "release", "snapshot"));
  FLEET_TRY(bool const timestamp_due, is_due(signing, "release", "timestamp"));
  if (below > 0 || snapshot_due) {
    FLEET_CHECK(sign_snapshot(signing));
    return roots + below + 2;
  }
  if (!timestamp_due) return roots + below;
  FLEET_CHECK(sign_timestamp(signing));
  return roots + below + 1;
}

Result<trust::KeySet> keys_of_role(db::Connection& reader, std::string const& role) {
  bool const delegated = role.starts_with("m-");
  auto newest = reader.prepare(kNewestMetadata);
  newest.bind_all(role == kDirectiveRoot ? "directive" : "release", delegated ? "targets" : "root");
  FLEET_TRY(bool const row, newest.step());
  if (!row) return Error{Kind::corrupt, "no_metadata", "there is no metadata of role " + role, "restore a backup"};
  FLEET_TRY(auto const file, trust::read_signed(newest.blob(2), newest.blob(2).size()));
  Error const unknown{Kind::not_found, "unknown_role", fmt::format("there is no role {}", role), "fleetctl trust status shows them"};
  if (delegated) {
    FLEET_TRY(auto const targets, trust::decode_targets(file));
    auto const* const set = targets.keys_of(role);
    return set == nullptr ? Result<trust::KeySet>(unknown) : *set;
  }
  FLEET_TRY(auto const root, trust::decode_root(file));
  auto const found = root.roles.find(role == kDirectiveRoot ? "root" : role);
  return found == root.roles.end() ? Result<trust::KeySet>(unknown) : found->second;
}

Result<bool> holds_role(db::Connection& reader, KeyRing& keys, std::string const& role) {
  auto const key = keys.get(role);
  if (!key && is_offline(key.error())) return false;
  if (!key) return key.error();
  FLEET_TRY(auto const named, keys_of_role(reader, role));
  return names(named, key->public_key());
}

Result<void> rotate_role(store::Tx& tx, KeyRing& keys, std::string const& role, SysTime now) {
  Signing const signing{tx, keys, now};
  FLEET_TRY(auto const before, keys_of_role(tx.connection(), role));
  std::string const repository = role == kDirectiveRoot ? "directive" : "release";
  bool const delegated = role.starts_with("m-");
  // The role above names the new key: without its key, nothing is begun.
  FLEET_CHECK(keys.get(delegated ? "targets" : repository == "directive" ? role : "root"));
  if (role == kDirectiveRoot) {
    FLEET_TRY(bool const ours, holds_role(tx.connection(), keys, role));
    if (!ours) return key_offline(role);
  }
  FLEET_TRY(auto const old, keys.begin_rotation(role));
  auto const done = sign_rotated(signing, role, old);
  if (!done) keys.undo_rotation(role);
  return done;
}

namespace {

/// Removes keys that a death left behind after their role had moved away.
Result<void> drop_moved_keys(db::Connection& reader, KeyRing& keys) {
  FLEET_TRY(auto const roles, list_roles(reader));
  for (auto const& one : roles) {
    if (one.role != "root" && one.role != "targets" && !one.role.starts_with("m-")) continue;
    auto const key = keys.get(one.role);
    if (!key && key.error().code == "key_offline") continue;
    if (!key) return key.error();
    FLEET_TRY(auto const named, keys_of_role(reader, one.role));
    auto const mine = key->public_key();
    bool const still = std::any_of(named.keys.begin(), named.keys.end(), [&](auto const& other) { return other.second == mine; });
    if (!still) FLEET_CHECK(keys.drop(one.role));
  }
  return {};
}

}  // namespace

Result<void> settle_rotations(db::Connection& reader, KeyRing& keys) {
  FLEET_TRY(auto const open, keys.open_rotations());
  for (auto const& [role, made] : open) {
    bool const directive = role == kDirectiveRoot;
    FLEET_TRY(auto const named, directive ? directive_signers(reader) : keys_of_role(reader, role));
    if (names(named, made)) {
      FLEET_CHECK(keys.end_rotation(role));
    } else if (!directive) {  // of the directive root a prepared one may wait for the owners' signatures
      keys.undo_rotation(role);
    }
  }
  return drop_moved_keys(reader, keys);
}

Result<void> recover_versions(store::Tx& tx, KeyRing& keys, SysTime now) {
  Signing const signing{tx, keys, now, Step::to_clock};
  // Without the root's key nobody would believe new ones.
  auto const root_key = keys.get("root");
  if (!root_key && !is_offline(root_key.error())) return root_key.error();
  if (root_key) {
    FLEET_CHECK(keys.replace("snapshot"));
    FLEET_CHECK(keys.replace("timestamp"));
    FLEET_TRY(auto const root, version_of(tx.connection(), "release", "root"));
    FLEET_CHECK(sign_root(signing, "release", root + 1));
  }
  FLEET_CHECK(refresh_targets(signing, true));
  // Whoever took the lost server over would read every protected release to come. What was encrypted is in no backup, and is made again.
  FLEET_CHECK(keys.replace("data"));
  return sign_snapshot(signing);
}

Result<std::optional<std::string>> find_metadata(db::Connection& reader, std::string_view repository, std::string_view file_name) {
  constexpr std::string_view kSuffix = ".json";
  if (!file_name.ends_with(kSuffix)) return std::nullopt;
  auto const stem = file_name.substr(0, file_name.size() - kSuffix.size());
  if (stem == "timestamp") {
    auto newest = reader.prepare(kNewestMetadata);
    FLEET_TRY(bool const found, newest.bind_all(repository, stem).step());
    return found ? std::optional(std::string(as_text(newest.blob(2)))) : std::nullopt;
  }
  std::int64_t version = 0;
  auto const [end, fault] = std::from_chars(stem.data(), stem.data() + stem.size(), version);
  auto const rest = stem.substr(fault == std::errc{} ? static_cast<std::size_t>(end - stem.data()) : stem.size());
  if (!rest.starts_with('.') || stem.front() == '0') return std::nullopt;
  auto row = reader.prepare(kGetMetadata);
  FLEET_TRY(bool const found, row.bind_all(repository, rest.substr(1), version).step());
  return found ? std::optional(std::string(as_text(row.blob(0)))) : std::nullopt;
}

}  // namespace fleet::signing
