#include "core/trust/compose.hpp"

#include "core/trust/canonical.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::string_view kSpecVersion = "1.0.34";

json::object key_json(PublicKey const& key) { return {{"keytype", key.keytype}, {"scheme", key.scheme}, {"keyval", json::object{{"public", key.value}}}}; }

using crypto::key_id;

json::array key_ids(RoleSpec const& role) {
  json::array out;
  for (auto const& key : role.keys) out.emplace_back(key_id(key));
  return out;
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

}  // namespace fleet::trust
