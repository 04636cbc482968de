#include "server/signing/queries.hpp"
#include "server/signing/metadata_rows.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/compose.hpp"
#include "core/wire/release.hpp"

#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace fleet::signing {
namespace json = boost::json;
using namespace std::chrono_literals;
namespace {

/// Of each role but the root. A client in the middle of an update asks for one that was the newest a moment ago.
constexpr std::int64_t kVersionsKept = 100;

}  // namespace

Millis lifetime_of(std::string_view role) { return role == "timestamp" ? 24h : role == "snapshot" ? 7 * 24h : Millis(kYear); }

std::string model_paths(std::string_view model) { return fmt::format("models/{}/*/release.json", model); }
std::string release_path(std::string_view model, std::string_view version) { return fmt::format("models/{}/{}/release.json", model, version); }

Result<std::int64_t> version_of(db::Connection& reader, std::string_view repository, std::string_view role) {
  auto newest = reader.prepare(kNewestMetadata);
  newest.bind_all(repository, role);
  FLEET_TRY(bool const row, newest.step());
  return row ? newest.int64(0) : 0;
}

Result<std::int64_t> next_version(Signing const& signing, std::string_view role) {
  FLEET_TRY(auto const current, version_of(signing.tx.connection(), "release", role));
  auto const clock = to_unix_ms(signing.now) / 1000;
  return signing.step == Step::to_clock ? std::max(current + 1, clock) : current + 1;
}

Result<void> save(Signing const& signing, std::string_view repository, std::string_view role, std::int64_t version, std::string const& bytes) {
  auto insert = signing.tx.prepare(kInsertMetadata);
  insert.bind_all(repository, role, version, as_bytes(bytes), to_unix_ms(signing.now + lifetime_of(role)));
  FLEET_CHECK(insert.run());
  auto forget = signing.tx.prepare(kForgetVersions);
  forget.bind_all(repository, role, version - kVersionsKept);
  return forget.run();
}

Result<trust::Signed> newest_file(db::Connection& reader, std::string_view repository, std::string_view role) {
  auto newest = reader.prepare(kNewestMetadata);
  newest.bind_all(repository, role);
  FLEET_TRY(bool const row, newest.step());
  if (!row) return Error{Kind::corrupt, "no_metadata", fmt::format("there is no {} in the {} repository", role, repository), "restore a backup"};
  return trust::read_signed(newest.blob(2), newest.blob(2).size());
}

trust::RoleSpec spec_of(trust::KeySet const& set) {
  trust::RoleSpec spec{{}, set.threshold};
  for (auto const& [id, key] : set.keys) spec.keys.push_back(key);
  return spec;
}

Result<std::vector<std::string>> model_names(db::Connection& reader) {
  std::vector<std::string> out;
  auto names = reader.prepare(kModelNames);
  for (;;) {
    FLEET_TRY(bool const row, names.step());
    if (!row) return out;
    out.push_back(names.text(0));
  }
}

Result<trust::Target> target_of(std::string const& path, std::string const& document) {
  FLEET_TRY(auto const release, wire::decode_release(document));
  json::array hardware;
  for (auto const& variant : release.variants)
    for (auto const& name : variant.hardware) hardware.emplace_back(name);
  json::object const custom{
      {"hardware", std::move(hardware)}, {"release_counter", release.release_counter}, {"security_floor", release.manifest.security_floor}};
  return trust::Target{path, document.size(), {{"sha256", crypto::sha256(document).hex()}}, json::serialize(custom)};
}

Result<void> sign_timestamp(Signing const& signing) {
  FLEET_TRY(auto const snapshot, version_of(signing.tx.connection(), "release", "snapshot"));
  FLEET_TRY(auto const version, next_version(signing, "timestamp"));
  FLEET_TRY(auto const key, signing.keys.get("timestamp"));
  std::array const signers{key};
  return save(signing, "release", "timestamp", version, trust::compose_timestamp(version, signing.now + lifetime_of("timestamp"), snapshot, signers));
}

Result<void> sign_snapshot(Signing const& signing) {
  FLEET_TRY(auto const models, model_names(signing.tx.connection()));
  std::vector<std::string> roles{"targets"};
  for (auto const& model : models) roles.push_back("m-" + model);
  std::map<std::string, trust::MetaEntry> meta;
  for (auto const& role : roles) {
    FLEET_TRY(auto const version, version_of(signing.tx.connection(), "release", role));
    if (version > 0) meta[role + ".json"] = {version};
  }
  FLEET_TRY(auto const version, next_version(signing, "snapshot"));
  FLEET_TRY(auto const key, signing.keys.get("snapshot"));
  std::array const signers{key};
  FLEET_CHECK(save(signing, "release", "snapshot", version, trust::compose_snapshot(version, signing.now + lifetime_of("snapshot"), meta, signers)));
  return sign_timestamp(signing);
}

}  // namespace fleet::signing
