#pragma once

#include "core/base/random.hpp"
#include "core/trust/compose.hpp"
#include "core/trust/updater.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

/// A repository in memory, and the client's disk: what attack tests bend.
namespace fleet::trust::simulator {

inline SysTime at(std::string_view text) { return *parse_rfc3339(text); }
inline SysTime const kNow = at("2026-11-20T00:00:00Z");
inline SysTime const kFar = at("2027-11-20T00:00:00Z");

/// `file` with one member of what is signed set to `value` (JSON text; empty: taken away), and signed anew by `key` alone.
std::string edited(std::string const& file, SigningKey const& key, std::string_view pointer, std::string_view value);

struct Disk final : MetadataStore {
  std::map<std::string, Bytes> files;
  int writes_left = 1'000'000;  ///< then the power is gone
  Result<void> write() {
    if (writes_left == 0) return Error{Kind::io, "power_cut", "nothing is written any more"};
    --writes_left;
    return {};
  }
  Result<std::optional<Bytes>> load(std::string const& role) override { return files.contains(role) ? std::optional(files.at(role)) : std::nullopt; }
  Result<void> save(std::string const& role, BytesView bytes) override {
    FLEET_CHECK(write());
    files[role] = Bytes(bytes.begin(), bytes.end());
    return {};
  }
  Result<void> remove(std::string const& role) override {
    FLEET_CHECK(write());
    files.erase(role);
    return {};
  }
};

struct Repository final : Fetcher {
  std::map<std::string, std::string> files;
  std::vector<std::string> asked;
  std::uint64_t most_bytes = 0;  ///< the largest limit that was asked with
  SeededRandom random{42};
  SigningKey root = SigningKey::generate(random), targets = SigningKey::generate(random), snapshot = SigningKey::generate(random),
             timestamp = SigningKey::generate(random), model = SigningKey::generate(random);
  std::int64_t root_version = 1, targets_version = 1, model_version = 1, snapshot_version = 1, timestamp_version = 1;
  SysTime expires = kFar, root_expires = kFar, model_expires = kFar, timestamp_expires = kFar;
  std::vector<Target> releases{{"models/reader/1/release.json", 3, {{"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}, ""}};
  std::vector<Delegation> delegations;
  std::vector<PublicKey> more_online_keys;  ///< of timestamp and snapshot, beside the one that signs

  Repository() {
    delegations = {{"m-reader", {{model.public_key()}, 1}, {"models/reader/*/release.json"}, true}};
    publish_root();
    publish();
  }
  [[nodiscard]] RoleSpec online(SigningKey const& key) const {
    RoleSpec out{{key.public_key()}, 1};
    out.keys.insert(out.keys.end(), more_online_keys.begin(), more_online_keys.end());
    return out;
  }
  static std::string put(std::string role, std::int64_t version) { return std::to_string(version) + "." + std::move(role) + ".json"; }
  void publish_root() {
    RootSpec const spec{
        root_version,
        root_expires,
        {{"root", {{root.public_key()}, 1}}, {"targets", {{targets.public_key()}, 1}}, {"snapshot", online(snapshot)}, {"timestamp", online(timestamp)}}};
    files[put("root", root_version)] = compose_root(spec, std::array{root});
  }
  void publish() {
    files[put("targets", targets_version)] = compose_targets(targets_version, expires, {}, delegations, std::array{targets});
    files[put("m-reader", model_version)] = compose_targets(model_version, model_expires, releases, {}, std::array{model});
    publish_online();
  }
  void publish_online() {
    files[put("snapshot", snapshot_version)] =
        compose_snapshot(snapshot_version, expires, {{"targets.json", {targets_version}}, {"m-reader.json", {model_version}}}, std::array{snapshot});
    files["timestamp.json"] = compose_timestamp(timestamp_version, timestamp_expires, snapshot_version, std::array{timestamp});
  }
  /// A new release, as an honest server publishes it.
  void step() {
    ++model_version;
    ++snapshot_version;
    ++timestamp_version;
    publish();
  }
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override {
    asked.push_back(name);
    most_bytes = std::max(most_bytes, limit_bytes);
    auto const found = files.find(name);
    if (found == files.end()) return Error{Kind::not_found, "not_found", name};
    if (found->second.size() > limit_bytes) return Error{Kind::too_large, "too_large", name};
    return Bytes(found->second.begin(), found->second.end());
  }
};

struct Client {
  Disk disk;
  explicit Client(Repository& repository) { REQUIRE(Updater::init(disk, as_bytes(repository.files.at("1.root.json"))).has_value()); }
  /// The code of the first failure, or `ok`.
  std::string refresh(Repository& repository, SysTime now = kNow, std::string const& path = "models/reader/1/release.json") {
    auto updater = Updater::load(disk, repository, now);
    if (!updater) return updater.error().code;
    if (auto const done = updater->refresh(); !done) return done.error().code;
    auto const found = updater->find(path);
    if (!found) return found.error().code;
    return *found ? "ok" : "no target";
  }
};

}  // namespace fleet::trust::simulator
