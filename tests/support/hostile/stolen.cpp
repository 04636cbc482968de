#include "tests/support/hostile/stolen.hpp"

#include "core/base/fs.hpp"
#include "core/crypto/hash.hpp"
#include "server/store/transfer/transfer.hpp"
#include "core/net/http.hpp"
#include "server/signing/key_ring.hpp"
#include "server/catalog/queries.hpp"
#include "server/signing/queries.hpp"
#include "server/admin/database.hpp"

#include <fmt/format.h>

namespace fleet::hostile {
namespace {

Result<void> read_metadata(db::Connection& database, Stolen& stolen) {
  auto rows = database.prepare(signing::kAllMetadata);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    std::string bytes(as_text(rows.blob(3)));
    if (rows.text(0) == "release") stolen.metadata[rows.text(1)][rows.int64(2)] = std::move(bytes);
    else stolen.directive_roots[rows.int64(2)] = std::move(bytes);
  }
}

Result<void> read_releases(db::Connection& database, Stolen& stolen) {
  auto rows = database.prepare(catalog::kAllDocuments);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    stolen.releases.push_back({rows.text(0), rows.text(1), rows.text(3), rows.text(4)});
  }
}

}  // namespace

trust::Target StolenRelease::target() const {
  return {fmt::format("models/{}/{}/release.json", model, version), document.size(), {{"sha256", crypto::sha256(document).hex()}}, {}};
}

wire::DirectiveTarget StolenRelease::order() const {
  auto const named = target();
  wire::DirectiveTarget out;
  out.model = model;
  out.path = named.path;
  out.length = named.length;
  out.hashes = named.hashes;
  out.attempt = 1;
  return out;
}

Result<Stolen> Stolen::from(std::string const& data_dir) {
  FLEET_TRY(auto const layout, admin::find_layout(system_fs(), {data_dir}));
  Stolen stolen;
  stolen.dir = data_dir;
  FLEET_TRY(stolen.certificate, system_fs().read(layout.server_certificate(), 1 << 20));
  FLEET_TRY(stolen.private_key, system_fs().read(layout.server_key(), 1 << 20));
  FLEET_TRY(auto database, store::open_to_read(layout.place()));
  FLEET_CHECK(read_metadata(database, stolen));
  FLEET_CHECK(read_releases(database, stolen));
  signing::KeyRing ring(system_fs(), system_random(), layout.keys());
  std::vector<std::string> roles{"root", "targets", "snapshot", "timestamp", "directive-root"};
  for (auto const& [role, versions] : stolen.metadata)
    if (role.starts_with("m-")) roles.push_back(role);
  for (auto const& role : roles)
    if (auto const key = ring.get(role)) stolen.keys.emplace(role, *key);
  stolen.keys.emplace("", crypto::SigningKey::generate(system_random()));
  return stolen;
}

StolenRelease const* Stolen::find(std::string const& model_at_version) const {
  for (auto const& release : releases)
    if (release.model + "@" + release.version == model_at_version) return &release;
  return nullptr;
}

crypto::SigningKey const& Stolen::key_for(std::string const& role) const {
  auto const found = keys.find(role);
  return found == keys.end() ? keys.at("") : found->second;
}

std::map<std::string, std::string> Stolen::files() const {
  std::map<std::string, std::string> out;
  for (auto const& [role, versions] : metadata)
    for (auto const& [version, bytes] : versions) out[fmt::format("/device/v1/tuf/{}.{}.json", version, role)] = bytes;
  out["/device/v1/tuf/timestamp.json"] = metadata.at("timestamp").rbegin()->second;
  for (auto const& [version, bytes] : directive_roots) out[fmt::format("/device/v1/directive/{}.root.json", version)] = bytes;
  for (auto const& release : releases)
    out[fmt::format("/device/v1/tuf/targets/models/{}/{}/{}.release.json", release.model, net::percent_encode(release.version),
                    crypto::sha256(release.document).hex())] = release.document;
  return out;
}

}  // namespace fleet::hostile
