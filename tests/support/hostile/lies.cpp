#include "tests/support/hostile/lies.hpp"

#include "core/base/time.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/compose.hpp"
#include "core/trust/metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::hostile {
namespace {

using Files = std::map<std::string, std::string>;
using std::chrono::days;
using std::chrono::hours;

SysTime now() { return std::chrono::floor<seconds>(system_clock().wall()); }
std::string tuf(std::int64_t version, std::string_view role) { return fmt::format("/device/v1/tuf/{}.{}.json", version, role); }
std::string role_of(Aim const& aim) { return "m-" + aim.wanted->model; }
std::span<crypto::SigningKey const> one(crypto::SigningKey const& key) { return {&key, 1}; }

void issue_at(wire::Directive& directive, SysTime at) {
  directive.issued_at = at;
  directive.expires = directive.act_before = at + days{7};
}

/// The model's role with the wanted release in it, signed by the role's key where that was stolen.
std::string forged_role(Stolen const& stolen, Aim const& aim, std::int64_t version) {
  auto const& key = stolen.keys.contains(role_of(aim)) ? stolen.key_for(role_of(aim)) : stolen.key_for("snapshot");
  return trust::compose_targets(version, now() + days{365}, {aim.wanted->target()}, {}, one(key));
}

std::map<std::string, trust::MetaEntry> newest_meta(Stolen const& stolen) {
  std::map<std::string, trust::MetaEntry> out;
  for (auto const& [role, versions] : stolen.metadata)
    if (role == "targets" || role.starts_with("m-")) out[role + ".json"] = {versions.rbegin()->first};
  return out;
}

struct Chain {
  std::int64_t snapshot, timestamp;
  std::map<std::string, trust::MetaEntry> meta;
  SysTime snapshot_expires = now() + days{7}, timestamp_expires = now() + days{1};
};
void sign_chain(Files& files, Stolen const& stolen, Chain const& chain) {
  files[tuf(chain.snapshot, "snapshot")] = trust::compose_snapshot(chain.snapshot, chain.snapshot_expires, chain.meta, one(stolen.key_for("snapshot")));
  files["/device/v1/tuf/timestamp.json"] = trust::compose_timestamp(chain.timestamp, chain.timestamp_expires, chain.snapshot, one(stolen.key_for("timestamp")));
}
Chain honest_chain(Stolen const& stolen) { return {stolen.newest("snapshot"), stolen.newest("timestamp"), newest_meta(stolen)}; }

void forge_role(Files& files, Stolen const& stolen, Aim const& aim) {
  auto const version = stolen.newest(role_of(aim));
  files[tuf(version, role_of(aim))] = forged_role(stolen, aim, version);
}

/// Every online role at a version that the honest server will not reach.
void run_up(Files& files, Stolen const& stolen, Aim const& aim) {
  constexpr std::int64_t kFar = 1'000'000;
  auto chain = honest_chain(stolen);
  chain.meta[role_of(aim) + ".json"] = {kFar};
  chain.snapshot = chain.timestamp = kFar;
  files[tuf(kFar, role_of(aim))] = forged_role(stolen, aim, kFar);
  sign_chain(files, stolen, chain);
}

/// A root that hands every role to the thief.
void forge_root(Files& files, Stolen const& stolen, Aim const&) {
  auto const& key = stolen.key_for("snapshot");
  trust::RootSpec root{stolen.newest("root") + 1, now() + days{365}, {}};
  for (std::string const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{key.public_key()}, 1};
  files[tuf(root.version, "root")] = trust::compose_root(root, one(key));
}

/// A directive root that hands the devices to the thief for good.
void forge_directive_root(Files& files, Stolen const& stolen, Aim const&) {
  std::array const signers{stolen.key_for("directive-root"), stolen.key_for("")};
  trust::RootSpec root{stolen.directive_roots.rbegin()->first + 1, now() + days{365}, {}, "directive"};
  for (std::string const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{signers[1].public_key()}, 1};
  files[fmt::format("/device/v1/directive/{}.root.json", root.version)] = trust::compose_root(root, signers);
}

void old_timestamp(Files& files, Stolen const& stolen, Aim const&) { files["/device/v1/tuf/timestamp.json"] = stolen.metadata.at("timestamp").begin()->second; }

/// An older file of the model's role under the newest one's name.
void mix_roles(Files& files, Stolen const& stolen, Aim const& aim) {
  auto const& versions = stolen.metadata.at(role_of(aim));
  files[tuf(versions.rbegin()->first, role_of(aim))] = versions.begin()->second;
}

void mix_snapshots(Files& files, Stolen const& stolen, Aim const& aim) {
  auto chain = honest_chain(stolen);
  chain.meta[role_of(aim) + ".json"] = {stolen.metadata.at(role_of(aim)).begin()->first};
  chain.snapshot += 1;
  chain.timestamp += 1;
  sign_chain(files, stolen, chain);
}

void expire_timestamp(Files& files, Stolen const& stolen, Aim const&) {
  auto chain = honest_chain(stolen);
  chain.timestamp_expires = now() - hours{1};
  sign_chain(files, stolen, chain);
}

void expire_snapshot(Files& files, Stolen const& stolen, Aim const&) {
  auto chain = honest_chain(stolen);
  chain.snapshot_expires = now() - hours{1};
  sign_chain(files, stolen, chain);
}

void swap_documents(Files& files, Stolen const&, Aim const& aim) {
  for (auto& [path, bytes] : files)
    if (path.find(crypto::sha256(aim.wanted->document).hex()) != std::string::npos) bytes = aim.other->document;
}

void order_path(wire::Directive& directive, std::string path) { directive.targets[0].path = std::move(path); }

}  // namespace

std::span<Lie const> lies() {
  static std::array const table{
      Lie{.name = "none"},
      // directives
      Lie{.name = "foreign-device", .directive = [](auto& d, auto&, auto&) { d.device = "somebody-else"; }},
      Lie{.name = "replay", .directive = [](auto& d, auto&, auto&) { d.nonce = to_base64(Bytes(16, 1)); }},
      Lie{.name = "bundle-online", .directive = [](auto& d, auto&, auto&) { d.nonce.clear(); }},
      Lie{.name = "lower-sequence", .directive = [](auto& d, auto& told, auto&) { d.sequence = told.directive_sequence - 1; }},
      Lie{.name = "equal-sequence", .directive = [](auto& d, auto& told, auto&) { d.sequence = told.directive_sequence; }},
      Lie{.name = "sequence-leap", .directive = [](auto& d, auto&, auto&) { d.sequence = std::int64_t{1} << 52; }},
      Lie{.name = "foreign-fleet", .signer = ""},
      Lie{.name = "expired-directive", .directive = [](auto& d, auto&, auto&) { issue_at(d, now() - days{8}); }},
      Lie{.name = "far-future", .directive = [](auto& d, auto&, auto&) { issue_at(d, now() + days{3650}); }},
      Lie{.name = "year-ahead", .directive = [](auto& d, auto&, auto&) { issue_at(d, now() + days{300}); }},
      Lie{.name = "huge-directive",
          .directive =
              [](auto& d, auto&, auto&) {
                d.targets.resize(64, d.targets[0]);
                for (auto& t : d.targets) t.rollout.assign(8000, 'x');
              }},
      // what both chains must agree on
      Lie{.name = "other-length", .directive = [](auto& d, auto&, auto&) { d.targets[0].length += 1; }},
      Lie{.name = "other-hash", .directive = [](auto& d, auto&, Aim const& aim) { d.targets[0].hashes = aim.other->target().hashes; }},
      Lie{.name = "other-path", .directive = [](auto& d, auto&, Aim const& aim) { order_path(d, "models/" + aim.wanted->model + "/../../x/release.json"); }},
      Lie{.name = "revert", .directive = [](auto& d, auto&, auto&) { d.targets[0].action = wire::Action::revert; }},
      Lie{.name = "prove", .directive = [](auto& d, auto&, auto&) { d.targets[0].action = wire::Action::prove; }},  // the most that it can do: a look
      // release metadata
      Lie{.name = "forged-role", .files = forge_role},
      Lie{.name = "forged-root", .files = forge_root},
      Lie{.name = "forged-directive-root", .files = forge_directive_root, .signer = ""},
      Lie{.name = "run-up", .files = run_up},
      Lie{.name = "old-timestamp", .files = old_timestamp},
      Lie{.name = "mixed-roles", .files = mix_roles},
      Lie{.name = "mixed-snapshots", .files = mix_snapshots},
      Lie{.name = "expired-timestamp", .files = expire_timestamp},
      Lie{.name = "expired-snapshot", .files = expire_snapshot},
      // bytes
      Lie{.name = "swapped-document", .files = swap_documents},
      Lie{.name = "swapped-blobs"},
      Lie{.name = "endless-poll", .endless = "/device/v1/poll"},
      Lie{.name = "endless-timestamp", .endless = "/device/v1/tuf/timestamp.json"},
      Lie{.name = "endless-root", .endless = "/tuf/2.root.json"},
      Lie{.name = "endless-roles", .endless = ".m-"},
      Lie{.name = "slow-roles", .endless = ".m-", .zeros = 4'000'000},  // within the limit; a relay makes it slow
      Lie{.name = "endless-document", .endless = "/device/v1/tuf/targets/"},
      Lie{.name = "endless-blobs", .endless = "/blobs/"},
  };
  return table;
}

}  // namespace fleet::hostile
