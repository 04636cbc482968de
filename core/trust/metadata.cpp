#include "core/trust/metadata.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/canonical.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace fleet::trust {
namespace json = boost::json;
namespace {

Error refused(std::string detail) { return {Kind::bad_input, "bad_metadata", std::move(detail)}; }

Result<json::object const*> object_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr || !value->is_object()) return refused(fmt::format("'{}' must be an object", key));
  return &value->get_object();
}
Result<std::string> text_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr || !value->is_string()) return refused(fmt::format("'{}' must be a text", key));
  return std::string(value->get_string());
}
Result<std::int64_t> number_at(json::object const& parent, std::string_view key, std::int64_t least) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < least)
    return refused(fmt::format("'{}' must be a whole number of at least {}", key, least));
  return value->get_int64();
}
Result<std::vector<std::string>> texts_at(json::object const& parent, std::string_view key) {
  auto const* const value = parent.if_contains(key);
  if (value == nullptr || !value->is_array()) return refused(fmt::format("'{}' must be a list", key));
  std::vector<std::string> out;
  for (auto const& item : value->get_array()) {
    if (!item.is_string()) return refused(fmt::format("'{}' must hold texts", key));
    out.emplace_back(item.get_string());
  }
  return out;
}

Result<std::map<std::string, std::string>> read_hashes(json::object const& parent) {
  FLEET_TRY(auto const* const hashes, object_at(parent, "hashes"));
  std::map<std::string, std::string> out;
  for (auto const& member : *hashes) {
    if (!member.value().is_string()) return refused("a hash must be a text");
    out.emplace(std::string(member.key()), std::string(member.value().get_string()));
  }
  if (out.empty()) return refused("hashes must not be empty");  // go-tuf 17b4808
  return out;
}

using Keys = std::map<std::string, crypto::PublicKey>;

/// A key of a type unknown here is left out: it can sign nothing, and newer types must not break older clients.
Result<Keys> read_keys(json::object const& parent) {
  FLEET_TRY(auto const* const keys, object_at(parent, "keys"));
  Keys out;
  for (auto const& member : *keys) {
    if (!member.value().is_object()) return refused("a key must be an object");
    auto const& key = member.value().get_object();
    FLEET_TRY(auto type, text_at(key, "keytype"));
    FLEET_TRY(auto scheme, text_at(key, "scheme"));
    FLEET_TRY(auto const* const value, object_at(key, "keyval"));
    if (!value->contains("public")) continue;
    FLEET_TRY(auto text, text_at(*value, "public"));
    out.emplace(std::string(member.key()), crypto::PublicKey{std::move(type), std::move(scheme), std::move(text)});
  }
  return out;
}

Result<KeySet> read_role(json::object const& role, Keys const& keys) {
  FLEET_TRY(auto const ids, texts_at(role, "keyids"));
  FLEET_TRY(auto const threshold, number_at(role, "threshold", 1));  // CVE-2026-23992
  if (std::set<std::string>(ids.begin(), ids.end()).size() != ids.size()) return refused("a key id stands twice in a role");
  KeySet out;
  out.threshold = static_cast<int>(std::min<std::int64_t>(threshold, 1'000'000));
  for (auto const& id : ids)
    if (auto const key = keys.find(id); key != keys.end()) out.keys.insert(*key);
  return out;
}

Result<FileMeta> read_meta(json::value const& value) {
  if (!value.is_object()) return refused("an entry of meta must be an object");
  auto const& entry = value.get_object();
  FileMeta out;
  FLEET_TRY(out.version, number_at(entry, "version", 1));
  if (entry.contains("length")) {
    FLEET_TRY(auto const length, number_at(entry, "length", 0));
    out.length = static_cast<std::uint64_t>(length);
  }
  if (entry.contains("hashes")) {
    FLEET_TRY(out.hashes, read_hashes(entry));
  }
  return out;
}

/// 4.3: _type, spec_version of major 1, version, expires.
Result<json::object const*> read_common(Signed const& file, std::string_view type, Common& out) {
  auto const* const content = file.content.if_object();
  if (content == nullptr) return refused("'signed' must be an object");
  FLEET_TRY(auto const found, text_at(*content, "_type"));
  if (found != type) return refused(fmt::format("type '{}', expected '{}'", found.substr(0, 40), type));
  FLEET_TRY(auto const spec, text_at(*content, "spec_version"));
  if (!spec.starts_with("1.")) return refused(fmt::format("specification version '{}', 1.x is known", spec.substr(0, 40)));
  FLEET_TRY(out.version, number_at(*content, "version", 1));
  FLEET_TRY(auto const expires, text_at(*content, "expires"));
  FLEET_TRY(out.expires, parse_rfc3339(expires));
  return content;
}

Result<Target> read_target(std::string path, json::value const& value) {
  if (!value.is_object()) return refused("a target must be an object");
  auto const& entry = value.get_object();
  Target out;
  out.path = std::move(path);
  FLEET_TRY(auto const length, number_at(entry, "length", 0));
  out.length = static_cast<std::uint64_t>(length);
  FLEET_TRY(out.hashes, read_hashes(entry));
  if (auto const* const custom = entry.if_contains("custom")) out.custom = json::serialize(*custom);
  return out;
}

Result<DelegatedRole> read_delegated(json::value const& value, Keys const& keys) {
  if (!value.is_object()) return refused("a delegated role must be an object");
  auto const& entry = value.get_object();
  DelegatedRole out;
  FLEET_TRY(out.name, text_at(entry, "name"));
  constexpr std::array<std::string_view, 4> kTop{"root", "timestamp", "snapshot", "targets"};
  if (out.name.empty() || std::find(kTop.begin(), kTop.end(), out.name) != kTop.end())
    return refused(fmt::format("'{}' is no name for a delegated role", out.name));
  FLEET_TRY(out.keys, read_role(entry, keys));
  auto const* const terminating = entry.if_contains("terminating");
  if (terminating == nullptr || !terminating->is_bool()) return refused("'terminating' must be true or false");
  out.terminating = terminating->get_bool();
  bool const by_path = entry.contains("paths"), by_hash = entry.contains("path_hash_prefixes");
  if (by_path == by_hash) return refused(fmt::format("role '{}' needs paths or path_hash_prefixes", out.name));
  FLEET_TRY((by_path ? out.paths : out.path_hash_prefixes), texts_at(entry, by_path ? "paths" : "path_hash_prefixes"));
  return out;
}

Result<void> read_delegations(json::object const& delegations, Targets& out) {
  FLEET_TRY(auto const keys, read_keys(delegations));
  bool const listed = delegations.contains("roles"), succinct = delegations.contains("succinct_roles");
  if (listed == succinct) return refused("delegations need roles or succinct_roles");
  if (succinct) {
    FLEET_TRY(auto const* const entry, object_at(delegations, "succinct_roles"));
    SuccinctRoles roles;
    FLEET_TRY(roles.keys, read_role(*entry, keys));
    FLEET_TRY(auto const bits, number_at(*entry, "bit_length", 1));
    if (bits > 32) return refused("bit_length is at most 32");
    roles.bits = static_cast<int>(bits);
    FLEET_TRY(roles.prefix, text_at(*entry, "name_prefix"));
    out.succinct = std::move(roles);
    return {};
  }
  if (!delegations.at("roles").is_array()) return refused("'roles' must be a list");
  std::set<std::string> names;
  for (auto const& item : delegations.at("roles").get_array()) {
    FLEET_TRY(auto role, read_delegated(item, keys));
    if (!names.insert(role.name).second) return refused(fmt::format("role '{}' is delegated twice", role.name));
    out.delegations.push_back(std::move(role));
  }
  return {};
}

std::string hash_of(std::string const& path) { return crypto::sha256(path).hex(); }

}  // namespace

Result<Signed> read_signed(BytesView bytes, std::uint64_t limit_bytes) {
  FLEET_TRY(auto document, parse_strict(bytes, limit_bytes));
  auto* const object = document.if_object();
  if (object == nullptr || !object->contains("signed") || !object->contains("signatures") || !object->at("signatures").is_array())
    return refused("metadata needs 'signed' and 'signatures'");
  Signed out;
  std::set<std::string> ids;
  for (auto const& item : object->at("signatures").get_array()) {
    if (!item.is_object()) return refused("a signature must be an object");
    FLEET_TRY(auto id, text_at(item.get_object(), "keyid"));
    FLEET_TRY(auto sig, text_at(item.get_object(), "sig"));
    if (!ids.insert(id).second) return refused("two signatures of one key id");
    out.signatures.emplace_back(std::move(id), std::move(sig));
  }
  out.content = std::move(object->at("signed"));
  out.covered = canonical(out.content);
  return out;
}

Result<void> verify_threshold(Signed const& file, KeySet const& keys, std::string_view role) {
  std::vector<Signature> signatures;
  for (auto const& [id, hex] : file.signatures)
    if (auto bytes = from_hex(hex)) signatures.push_back({id, std::move(*bytes)});
  return verify_signers(keys, signatures, as_bytes(file.covered), role);
}

bool DelegatedRole::covers(std::string const& path) const {
  // fnmatch(3) ends at a zero byte; a pattern or path that holds one would be judged by its beginning.
  if (path.find('\0') != std::string::npos) return false;
  auto const fits = [&](std::string const& pattern) {
    return pattern.find('\0') == std::string::npos && ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_NOESCAPE) == 0;
  };
  if (std::any_of(paths.begin(), paths.end(), fits)) return true;
  auto const hash = path_hash_prefixes.empty() ? std::string() : hash_of(path);
  return std::any_of(path_hash_prefixes.begin(), path_hash_prefixes.end(), [&](auto const& prefix) { return hash.starts_with(prefix); });
}

std::string SuccinctRoles::role_of(std::string const& path) const {
  std::uint32_t head = 0;
  auto const hash = hash_of(path);
  std::from_chars(hash.data(), hash.data() + 8, head, 16);
  return prefix + "-" + bin_name(std::uint64_t{head} >> (32 - bits));
}

std::string SuccinctRoles::bin_name(std::uint64_t bin) const {
  auto const width = fmt::format("{:x}", (std::uint64_t{1} << bits) - 1).size();
  return fmt::format("{:0{}x}", bin, width);
}

bool SuccinctRoles::has(std::string const& role) const {
  if (!role.starts_with(prefix + "-")) return false;
  auto const bin = std::string_view(role).substr(prefix.size() + 1);
  std::uint64_t number = 0;
  std::from_chars(bin.data(), bin.data() + bin.size(), number, 16);
  return number < std::uint64_t{1} << bits && bin == bin_name(number);
}

std::vector<std::pair<std::string, bool>> Targets::roles_for(std::string const& path) const {
  if (succinct) return {{succinct->role_of(path), true}};
  std::vector<std::pair<std::string, bool>> out;
  for (auto const& role : delegations)
    if (role.covers(path)) out.emplace_back(role.name, role.terminating);
  return out;
}

KeySet const* Targets::keys_of(std::string const& role) const {
  if (succinct && succinct->has(role)) return &succinct->keys;
  for (auto const& delegated : delegations)
    if (delegated.name == role) return &delegated.keys;
  return nullptr;
}

Result<Root> decode_root(Signed const& file) {
  Root out;
  FLEET_TRY(auto const* const content, read_common(file, "root", out));
  auto const* const consistent = content->if_contains("consistent_snapshot");
  if (consistent != nullptr && !consistent->is_bool()) return refused("'consistent_snapshot' must be true or false");
  out.consistent_snapshot = consistent != nullptr && consistent->get_bool();
  if (content->contains("repository")) {
    FLEET_TRY(out.repository, text_at(*content, "repository"));
  }
  FLEET_TRY(auto const keys, read_keys(*content));
  FLEET_TRY(auto const* const roles, object_at(*content, "roles"));
  for (auto const* const name : {"root", "timestamp", "snapshot", "targets"}) {
    FLEET_TRY(auto const* const role, object_at(*roles, name));
    FLEET_TRY(auto set, read_role(*role, keys));
    out.roles.emplace(name, std::move(set));
  }
  return out;
}

Result<Timestamp> decode_timestamp(Signed const& file) {
  Timestamp out;
  FLEET_TRY(auto const* const content, read_common(file, "timestamp", out));
  FLEET_TRY(auto const* const meta, object_at(*content, "meta"));
  auto const* const snapshot = meta->if_contains("snapshot.json");
  if (snapshot == nullptr) return refused("meta needs 'snapshot.json'");
  FLEET_TRY(out.snapshot, read_meta(*snapshot));
  return out;
}

Result<Snapshot> decode_snapshot(Signed const& file) {
  Snapshot out;
  FLEET_TRY(auto const* const content, read_common(file, "snapshot", out));
  FLEET_TRY(auto const* const meta, object_at(*content, "meta"));
  for (auto const& member : *meta) {
    FLEET_TRY(auto entry, read_meta(member.value()));
    out.meta.emplace(std::string(member.key()), std::move(entry));
  }
  return out;
}

Result<Targets> decode_targets(Signed const& file) {
  Targets out;
  FLEET_TRY(auto const* const content, read_common(file, "targets", out));
  FLEET_TRY(auto const* const targets, object_at(*content, "targets"));
  for (auto const& member : *targets) {
    std::string const path(member.key());
    FLEET_TRY(auto target, read_target(path, member.value()));
    out.targets.emplace(path, std::move(target));
  }
  if (auto const* const delegations = content->if_contains("delegations"); delegations != nullptr && !delegations->is_null()) {
    if (!delegations->is_object()) return refused("'delegations' must be an object");
    FLEET_CHECK(read_delegations(delegations->get_object(), out));
  }
  return out;
}

}  // namespace fleet::trust
