#include "server/signing/queries.hpp"
#include "server/ceremony/propose.hpp"

#include "server/catalog/queries.hpp"
#include "server/catalog/sets.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/metadata_rows.hpp"
#include "server/signing/trust_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::ceremony {
namespace {

constexpr std::size_t kKeysMax = 32;

bool is_model_role(std::string_view role) { return role.starts_with("m-"); }

/// Distinct keys, a threshold that they can meet, and none that is here: what the server could sign alone would be worth nothing.
Result<void> check_keys(signing::KeyRing& keys, std::string const& role, trust::RoleSpec const& spec) {
  std::set<Bytes> distinct;
  for (auto const& key : spec.keys) {
    FLEET_TRY(auto bytes, crypto::key_bytes(key));
    distinct.insert(std::move(bytes));
  }
  auto const count = static_cast<int>(spec.keys.size());
  if (spec.keys.empty() || spec.keys.size() > kKeysMax || distinct.size() != spec.keys.size() || spec.threshold < 1 || spec.threshold > count)
    return Error{Kind::bad_input, "bad_keys", fmt::format("{} keys, {} of them distinct, threshold {}", count, distinct.size(), spec.threshold),
                 fmt::format("1 to {} distinct keys, and a threshold from 1 to their count", kKeysMax)};
  auto const here = keys.get(role);
  if (!here && here.error().code != "key_offline") return here.error();
  if (here && std::find(spec.keys.begin(), spec.keys.end(), here->public_key()) != spec.keys.end())
    return Error{Kind::bad_input, "bad_keys", fmt::format("key {} of role {} lies on the server", here->key_id(), role),
                 "name keys that were made elsewhere: fleetctl trust offline keygen"};
  return {};
}

Result<std::string> newest_text(db::Connection& reader, std::string_view repository, std::string const& role) {
  auto newest = reader.prepare(signing::kNewestMetadata);
  FLEET_TRY(bool const row, newest.bind_all(repository, role).step());
  return row ? std::string(as_text(newest.blob(2))) : std::string();
}

class Proposing {
public:
  Proposing(db::Connection& reader, Change const& change, SysTime now) : reader_(reader), change_(change), now_(now) {}

  Result<void> add_root() {
    FLEET_TRY(auto const file, signing::newest_file(reader_, "release", "root"));
    FLEET_TRY(auto const root, trust::decode_root(file));
    trust::RootSpec spec{root.version + 1, now_ + signing::kYear, {}};
    for (auto const& [name, set] : root.roles) spec.roles.emplace(name, name == change_.role && change_.keys ? *change_.keys : signing::spec_of(set));
    return add("root", trust::compose_root(spec, {}));
  }
  Result<void> add_directive_root(crypto::PublicKey const& signer) {
    FLEET_TRY(auto const file, signing::newest_file(reader_, "directive", "root"));
    FLEET_TRY(auto const root, trust::decode_root(file));
    trust::RootSpec spec{root.version + 1, now_ + signing::kYear, {}, signing::kDirectiveRepository};
    for (auto const& [name, set] : root.roles) spec.roles.emplace(name, trust::RoleSpec{{signer}, 1});
    spec.roles.at("root") = change_.keys ? *change_.keys : signing::spec_of(root.roles.at("root"));
    FLEET_TRY(auto before, newest_text(reader_, "directive", "root"));
    out_.role = change_.role;
    out_.files.push_back({change_.role, std::move(before), trust::compose_root(spec, {})});
    return {};
  }
  Result<void> add_targets() {
    FLEET_TRY(auto const file, signing::newest_file(reader_, "release", "targets"));
    FLEET_TRY(auto const targets, trust::decode_targets(file));
    FLEET_TRY(auto const models, signing::model_names(reader_));
    std::vector<trust::Delegation> delegations;
    for (auto const& model : models) {
      auto const role = "m-" + model;
      bool const changes = role == change_.role && change_.keys;
      auto const* const named = targets.keys_of(role);
      if (!changes && named == nullptr) continue;  // a model that waits for its first keys
      delegations.push_back({role, changes ? *change_.keys : signing::spec_of(*named), {signing::model_paths(model)}, true});
    }
    return add("targets", trust::compose_targets(targets.version + 1, now_ + signing::kYear, {}, delegations, {}));
  }
  Result<void> add_model() {
    auto const model = change_.role.substr(2);
    std::vector<trust::Target> listed;
    auto approved = reader_.prepare(signing::kApprovedDocuments);
    approved.bind(1, model);
    for (;;) {
      FLEET_TRY(bool const row, approved.step());
      if (!row) break;
      FLEET_TRY(auto target, signing::target_of(signing::release_path(model, approved.text(0)), approved.text(1)));
      listed.push_back(std::move(target));
    }
    for (auto const& version : change_.releases) {
      FLEET_TRY(auto const release, catalog::load_release(reader_, model, version));
      if (release.state == "revoked") return Error{Kind::conflict, "revoked", fmt::format("release {}@{} is revoked", model, version), "publish a new version"};
      if (release.state == "draft") FLEET_CHECK(catalog::check_members_stand(reader_, release.n, fmt::format("{}@{}", model, version)));
      FLEET_TRY(auto target, signing::target_of(signing::release_path(model, version), release.document));
      if (release.state == "draft") listed.push_back(std::move(target));
    }
    FLEET_TRY(auto const version, signing::version_of(reader_, "release", change_.role));
    return add(change_.role, trust::compose_targets(version + 1, now_ + signing::kYear, listed, {}, {}));
  }
  [[nodiscard]] trust::Proposal take() { return std::move(out_); }

private:
  Result<void> add(std::string const& role, std::string after) {
    FLEET_TRY(auto before, newest_text(reader_, "release", role));
    out_.role = change_.role;
    out_.files.push_back({role, std::move(before), std::move(after)});
    return {};
  }
  db::Connection& reader_;
  Change const& change_;
  SysTime now_;
  trust::Proposal out_;
};

}  // namespace

Error bad_role(std::string_view role) {
  return {Kind::bad_input, "role_stays_online", fmt::format("role {} is signed by the server", role.substr(0, 66)),
          "root, targets, m-MODEL and directive-root can be moved"};
}

Result<trust::Proposal> propose(db::Connection& reader, signing::KeyRing& keys, Change const& change, SysTime now) {
  bool const of_model = is_model_role(change.role);
  bool const directive = change.role == signing::kDirectiveRoot;
  if (!of_model && !directive && change.role != "root" && change.role != "targets") return bad_role(change.role);
  if (of_model) FLEET_CHECK(catalog::load_model(reader, change.role.substr(2)));
  if (!change.releases.empty() && !of_model)
    return Error{Kind::bad_input, "bad_role", fmt::format("role {} lists no releases", change.role), "releases are listed by m-MODEL"};
  if (change.keys) FLEET_CHECK(check_keys(keys, change.role, *change.keys));
  if (of_model && !change.keys) FLEET_CHECK(signing::keys_of_role(reader, change.role));
  Proposing proposing(reader, change, now);
  if (directive) {
    FLEET_TRY(bool const here, signing::holds_role(reader, keys, change.role));
    if (here && !change.keys)
      return Error{Kind::bad_input, "bad_keys", "the directive root's key lies on the server",
                   "--key FILE.pub names the owners'; here: fleetctl trust rotate directive-root"};
    FLEET_TRY(auto const signer, keys.prepare_rotation(change.role));
    FLEET_CHECK(proposing.add_directive_root(signer));
    return proposing.take();
  }
  // What names the role's keys stands above it, and what is named must follow at once.
  bool const root = change.role == "root" || (change.role == "targets" && change.keys);
  bool const targets = change.role == "targets" || (of_model && change.keys);
  if (root) FLEET_CHECK(proposing.add_root());
  if (targets) FLEET_CHECK(proposing.add_targets());
  if (of_model) FLEET_CHECK(proposing.add_model());
  return proposing.take();
}

}  // namespace fleet::ceremony
