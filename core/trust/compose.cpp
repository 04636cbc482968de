#include "core/trust/compose.hpp"

#include "core/base/names.hpp"
#include "core/trust/canonical.hpp"
#include "core/trust/metadata.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <set>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::string_view kSpecVersion = "1.0.34";

json::object key_json(PublicKey const& key) { return {{"keytype", key.keytype}, {"scheme", key.scheme}, {"keyval", json::object{{"public", key.value}}}}; }

using crypto::key_id;

json::array key_ids(RoleSpec const& role) {
  std::set<std::string> ids;
  for (auto const& key : role.keys) ids.insert(key_id(key));
  return json::array(ids.begin(), ids.end());
}

json::object signed_part(std::string_view type, std::int64_t version, SysTime expires) {
  return {{"_type", type}, {"spec_version", kSpecVersion}, {"version", version}, {"expires", to_rfc3339(expires)}};
}

/// Signs the canonical form of the content.
std::string sign(json::object content, std::span<SigningKey const> signers) {
  json::value const covered(std::move(content));
  auto const message = canonical(covered);
  json::array signatures;
  for (auto const& key : signers) signatures.push_back(json::object{{"keyid", key.key_id()}, {"sig", to_hex(key.sign(as_bytes(message)))}});
  return json_file(json::object{{"signed", covered}, {"signatures", std::move(signatures)}});
}

json::object target_json(Target const& target) {
  json::object hashes;
  for (auto const& [algorithm, hex] : target.hashes) hashes[algorithm] = hex;
  json::object out{{"length", static_cast<std::int64_t>(target.length)}, {"hashes", std::move(hashes)}};
  if (!target.custom.empty()) out["custom"] = json::parse(target.custom);
  return out;
}

}  // namespace

std::string compose_root(RootSpec const& spec, std::span<SigningKey const> signers) {
  auto content = signed_part("root", spec.version, spec.expires);
  json::object keys, roles;
  for (auto const& [name, role] : spec.roles) {
    for (auto const& key : role.keys) keys[key_id(key)] = key_json(key);
    roles[name] = json::object{{"keyids", key_ids(role)}, {"threshold", role.threshold}};
  }
  if (!spec.repository.empty()) content["repository"] = spec.repository;
  content["consistent_snapshot"] = true;
  content["keys"] = std::move(keys);
  content["roles"] = std::move(roles);
  return sign(std::move(content), signers);
}

std::string compose_targets(std::int64_t version, SysTime expires, std::vector<Target> const& targets, std::vector<Delegation> const& delegations,
                            std::span<SigningKey const> signers) {
  auto content = signed_part("targets", version, expires);
  json::object entries;
  for (auto const& target : targets) entries[target.path] = target_json(target);
  content["targets"] = std::move(entries);
  if (!delegations.empty()) {
    json::object keys;
    json::array roles;
    for (auto const& delegation : delegations) {
      for (auto const& key : delegation.keys.keys) keys[key_id(key)] = key_json(key);
      roles.push_back(json::object{{"name", delegation.role},
                                   {"keyids", key_ids(delegation.keys)},
                                   {"threshold", delegation.keys.threshold},
                                   {"terminating", delegation.terminating},
                                   {"paths", json::array(delegation.paths.begin(), delegation.paths.end())}});
    }
    content["delegations"] = json::object{{"keys", std::move(keys)}, {"roles", std::move(roles)}};
  }
  return sign(std::move(content), signers);
}

std::string compose_snapshot(std::int64_t version, SysTime expires, std::map<std::string, MetaEntry> const& meta, std::span<SigningKey const> signers) {
  auto content = signed_part("snapshot", version, expires);
  json::object entries;
  for (auto const& [name, entry] : meta) entries[name] = json::object{{"version", entry.version}};
  content["meta"] = std::move(entries);
  return sign(std::move(content), signers);
}

std::string compose_timestamp(std::int64_t version, SysTime expires, std::int64_t snapshot_version, std::span<SigningKey const> signers) {
  auto content = signed_part("timestamp", version, expires);
  content["meta"] = json::object{{"snapshot.json", json::object{{"version", snapshot_version}}}};
  return sign(std::move(content), signers);
}

namespace {

constexpr std::uint64_t kReviewedBytesMax = 8 * 1024 * 1024;

Error hidden(std::string detail) {
  return {Kind::bad_input, "hidden_content", std::move(detail), "do not sign: ask who prepared it, and prepare it anew with fleetctl trust offline prepare"};
}

RoleSpec spec_of(KeySet const& set) {
  RoleSpec out{{}, set.threshold};
  for (auto const& [id, key] : set.keys) out.keys.push_back(key);
  return out;
}

Result<std::string> recompose_root(std::string const& role, Signed const& file) {
  FLEET_TRY(auto const root, decode_root(file));
  if ((role == "root") != root.repository.empty()) return hidden(fmt::format("{} is a root of repository '{}'", role, root.repository.substr(0, 40)));
  RootSpec spec{root.version, root.expires, {}, root.repository};
  for (auto const& [name, set] : root.roles) spec.roles.emplace(name, spec_of(set));
  return compose_root(spec, {});
}

bool is_release_of(std::string const& model, std::string_view path) {
  auto const prefix = fmt::format("models/{}/", model);
  constexpr std::string_view kSuffix = "/release.json";
  if (!path.starts_with(prefix) || !path.ends_with(kSuffix) || path.size() <= prefix.size() + kSuffix.size()) return false;
  return check_version_name(path.substr(prefix.size(), path.size() - prefix.size() - kSuffix.size())).has_value();
}

Result<std::string> recompose_targets(std::string const& role, Signed const& file) {
  FLEET_TRY(auto const targets, decode_targets(file));
  bool const of_model = role.starts_with("m-");
  std::vector<Target> listed;
  for (auto const& [path, target] : targets.targets) {
    if (!of_model || !is_release_of(role.substr(2), path)) return hidden(fmt::format("{} lists {}", role, path.substr(0, 200)));
    listed.push_back(target);
  }
  std::vector<Delegation> delegations;
  for (auto const& one : targets.delegations) {
    // A name with a pattern's signs in it would cover other models' paths.
    if (of_model || !one.name.starts_with("m-") || !check_model_name(one.name.substr(2)) ||
        one.paths != std::vector{fmt::format("models/{}/*/release.json", one.name.substr(2))})
      return hidden(fmt::format("{} delegates other paths to {} than its model's", role, one.name.substr(0, 66)));
    delegations.push_back({one.name, spec_of(one.keys), one.paths, true});
  }
  return compose_targets(targets.version, targets.expires, listed, delegations, {});
}

}  // namespace

Result<void> check_nothing_hidden(std::string const& role, BytesView bytes) {
  bool const root = role == "root" || role == "directive-root";
  bool const of_model = role.starts_with("m-") && check_model_name(role.substr(2));
  if (!root && role != "targets" && !of_model) return hidden(fmt::format("role '{}' is none that people sign", role.substr(0, 66)));
  FLEET_TRY(auto const file, read_signed(bytes, kReviewedBytesMax));
  FLEET_TRY(auto const text, root ? recompose_root(role, file) : recompose_targets(role, file));
  FLEET_TRY(auto const again, read_signed(as_bytes(text), kReviewedBytesMax));
  return again.covered == file.covered ? Result<void>() : hidden(fmt::format("{} holds more than can be shown, or a key under another's id", role));
}

}  // namespace fleet::trust
