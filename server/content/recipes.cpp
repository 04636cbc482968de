#include "server/content/recipes.hpp"

#include "core/trust/dsse.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/blobs/readers.hpp"
#include "server/content/queries.hpp"
#include "server/content/wanted.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace fleet::routes {
namespace json = boost::json;
namespace {

std::uint64_t bytes_at(db::Statement const& row, int column) { return static_cast<std::uint64_t>(row.int64(column)); }

/// The release with whose key this one's files are encrypted; 0: with none.
Result<std::int64_t> sealed_of(db::Connection& reader, wire::Release const& release) {
  if (release.protection == wire::Protection::none) return 0;
  auto row = reader.prepare(kSealedOf);
  FLEET_TRY(bool const found, row.bind_all(release.model, release.version).step());
  if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("there is no protected release {}@{}", release.model, release.version)};
  return row.int64(0);
}

Result<std::vector<wire::Route>> ready_of(db::Connection& reader, Digest const& target, std::int64_t sealed) {
  std::vector<wire::Route> out;
  auto rows = reader.prepare(kRoutesOf);
  rows.bind_all(target, sealed);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    wire::Route route{rows.text(0), {}, rows.digest(2), bytes_at(rows, 3), bytes_at(rows, 4), bytes_at(rows, 5)};
    if (auto const base = rows.digest(1); base != Digest{}) route.bases.push_back(base);
    out.push_back(std::move(route));
  }
}

/// Of all variants that a device of this hardware brings, its hardware's own first.
std::vector<wire::ReleaseFile> files_for(wire::Release const& release, std::string_view hardware) {
  std::vector<wire::ReleaseFile> out;
  for (auto const* const variant : wire::variants_for(release, hardware)) out.insert(out.end(), variant->files.begin(), variant->files.end());
  return out;
}

/// Whether a device that has nothing comes to each of these files.
bool has_ways(wire::ReleaseRoutes const& routes, std::vector<wire::ReleaseFile> const& files) {
  std::set<Digest> there;
  for (auto const& file : routes.files)
    if (std::any_of(file.routes.begin(), file.routes.end(), [](wire::Route const& route) { return route.bases.empty(); })) there.insert(file.sha256);
  return std::all_of(files.begin(), files.end(), [&](wire::ReleaseFile const& file) { return there.contains(file.sha256); });
}

/// About what a route takes of the document.
constexpr std::size_t kRouteBytes = 320, kFileBytes = 128;
/// More files than these travel whole where they are encrypted, so that the document has all of them.
constexpr std::size_t kSealedFilesWithDeltas = 500;
static_assert(wire::kProtectedFilesMax * (kFileBytes + kRouteBytes) < wire::kRoutesBytesMax && kSealedFilesWithDeltas * (kFileBytes + (1 + kBasesMax) * kRouteBytes) < wire::kRoutesBytesMax);

json::object route_json(db::Statement const& row, std::uint64_t size, bool sealed) {
  bool const ready = row.text_view(0) == "ready", from_nothing = row.digest(2) == Digest{};
  auto const bytes = bytes_at(row, 4) + bytes_at(row, 5);
  auto const number = [&](std::uint64_t value) { return ready ? json::value(value) : json::value(nullptr); };
  json::object out{{"state", row.text(0)}};
  out["kind"] = wire::text_or_null(row.maybe_text(1));
  out["encrypted"] = sealed;
  out["from"] = row.is_null(9) ? json::value(nullptr) : json::value(fmt::format("{}@{}", row.text(9), row.text(10)));
  out["base"] = from_nothing ? json::value(nullptr) : json::value(row.digest(2).hex());
  out["bytes"] = number(bytes);
  out["recipe_bytes"] = number(bytes_at(row, 4));
  out["memory"] = number(bytes_at(row, 6));
  out["saves_percent"] = ready && size > 0 ? json::value(static_cast<double>(size - std::min(size, bytes)) * 100 / static_cast<double>(size)) : json::value(nullptr);
  out["devices"] = from_nothing ? json::value(nullptr) : json::value(row.int64(8));
  out["why"] = wire::text_or_null(row.maybe_text(7));
  return out;
}

}  // namespace

Result<wire::ReleaseRoutes> routes_of(db::Connection& reader, wire::Release const& release, Digest const& digest, std::string const& hardware) {
  wire::ReleaseRoutes out{digest, hardware, {}};
  FLEET_TRY(auto const sealed, sealed_of(reader, release));
  auto const files = files_for(release, hardware);
  std::set<Digest> seen;
  std::size_t bytes = 0;
  for (auto const& file : files) {
    if ((file.size < kFileBytesMin && sealed == 0) || !seen.insert(file.sha256).second) continue;
    FLEET_TRY(auto routes, ready_of(reader, file.sha256, sealed));
    // All files of a protected release must be in it: where they are many, by the way that everybody can go.
    if (sealed != 0 && files.size() > kSealedFilesWithDeltas) std::erase_if(routes, [](wire::Route const& route) { return !route.bases.empty(); });
    bytes += routes.empty() ? 0 : kFileBytes + kRouteBytes * routes.size();
    if (bytes > wire::kRoutesBytesMax) break;  // the rest travels as it is
    if (!routes.empty()) out.files.push_back({file.sha256, file.size, std::move(routes)});
  }
  return out;
}

Result<SignedRoutes> sign_routes(db::Connection& reader, signing::KeyRing& keys, Digest const& release, std::int64_t device_n) {
  auto row = reader.prepare(kNamedRelease);
  FLEET_TRY(bool const found, row.bind_all(release, device_n).step());
  if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("no directive named a release {} to this device", release.hex())};
  FLEET_TRY(auto const document, wire::decode_release(row.text_view(0)));
  FLEET_TRY(auto const routes, routes_of(reader, document, release, row.text(1)));
  FLEET_TRY(auto const key, keys.get("directive-root"));
  auto const payload = wire::encode(routes);
  SignedRoutes out;
  out.envelope = trust::make_envelope(wire::kRoutesPayloadType, as_bytes(payload), {&key, 1});
  bool const has_all = document.protection == wire::Protection::none || has_ways(routes, files_for(document, row.text_view(1)));
  if (!has_all) out.wanting = row.int64(2);
  return out;
}

Result<PackedRoutes> pack_routes(db::Connection& reader, signing::KeyRing& keys, wire::Release const& release, Digest const& digest, std::string const& hardware) {
  FLEET_TRY(auto const sealed, sealed_of(reader, release));
  FLEET_TRY(auto routes, routes_of(reader, release, digest, hardware));
  if (!has_ways(routes, files_for(release, hardware)))
    return Error{Kind::unavailable, "encryption", fmt::format("{}@{} has not been encrypted yet", release.model, release.version), "try again in a while: `fleetctl release get` shows its routes"};
  std::map<Digest, std::uint64_t> objects;
  for (auto& file : routes.files) {
    std::erase_if(file.routes, [](wire::Route const& route) { return !route.bases.empty(); });
    auto rows = reader.prepare(kObjectsOfReady);
    rows.bind_all(file.sha256, Digest{}, sealed);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      objects.emplace(rows.digest(0), bytes_at(rows, 1));
    }
  }
  FLEET_TRY(auto const key, keys.get("directive-root"));
  auto const payload = wire::encode(routes);
  return PackedRoutes{trust::make_envelope(wire::kRoutesPayloadType, as_bytes(payload), {&key, 1}), {objects.begin(), objects.end()}};
}

Result<void> want_encrypted(store::Store& store, std::int64_t release, SysTime now) {
  auto row = store.reader().prepare(kSealedWaits);
  FLEET_TRY(bool const waits, row.bind(1, release).step());
  if (waits) return {};  // asked for already: whoever asks again and again writes nothing
  FLEET_TRY(auto const wanted, wanted_of(store.reader(), release, true));
  return note_wanted(store, wanted, now);
}

Result<std::vector<std::string>> routes_json(db::Connection& reader, wire::Release const& release) {
  std::vector<std::string> out;
  FLEET_TRY(auto const sealed, sealed_of(reader, release));
  for (auto const& variant : release.variants) {
    for (auto const& file : variant.files) {
      json::array routes;
      auto rows = reader.prepare(kAllOf);
      rows.bind_all(file.sha256, sealed);
      for (;;) {
        FLEET_TRY(bool const row, rows.step());
        if (!row) break;
        routes.push_back(route_json(rows, file.size, sealed != 0));
      }
      if (routes.empty()) continue;
      out.push_back(json::serialize(json::object{{"hardware", json::array(variant.hardware.begin(), variant.hardware.end())},
                                                 {"variant", variant.name},
                                                 {"file", file.name},
                                                 {"sha256", file.sha256.hex()},
                                                 {"size", file.size},
                                                 {"routes", std::move(routes)}}));
    }
  }
  return out;
}

Result<std::optional<std::uint64_t>> object_size(db::Connection& reader, Digest const& sha256) {
  auto row = reader.prepare(kObject);
  FLEET_TRY(bool const found, row.bind(1, sha256).step());
  return found ? std::optional(bytes_at(row, 0)) : std::nullopt;
}

Result<bool> may_device_read(db::Connection& reader, Digest const& sha256, std::int64_t device_n) {
  FLEET_TRY(auto const models, blobs::cached_models(reader, device_n));
  if (models && models->empty()) return is_in_release(reader, sha256, "");
  if (models) {
    for (auto const& model : *models) {
      FLEET_TRY(bool const found, is_in_release(reader, sha256, model));
      if (found) return true;
    }
    return false;
  }
  auto row = reader.prepare(kObjectOfDevice);
  return row.bind_all(sha256, device_n).step();
}

Result<bool> is_in_release(db::Connection& reader, Digest const& sha256, std::string_view model) {
  auto row = reader.prepare(kObjectInRelease);
  return row.bind_all(sha256, model).step();
}

Result<Travel> travel_of(db::Connection& reader, wire::Release const& release, wire::Release const* from, std::string const& hardware) {
  Travel out{"none", 0, 0};
  FLEET_TRY(auto const sealed, sealed_of(reader, release));
  std::set<Digest> there;
  if (from != nullptr)
    for (auto const& file : files_for(*from, hardware)) there.insert(file.sha256);
  std::uint64_t most = 0;
  for (auto const& file : files_for(release, hardware)) {
    out.size += file.size;
    if (!there.insert(file.sha256).second) continue;
    std::string kind = "as_it_is";
    auto bytes = file.size;
    if (file.size >= kFileBytesMin || sealed != 0) {
      FLEET_TRY(auto const routes, ready_of(reader, file.sha256, sealed));
      for (auto const& route : routes) {
        bool const has = std::all_of(route.bases.begin(), route.bases.end(), [&](Digest const& base) { return there.contains(base); });
        bool const only = sealed != 0 && kind == "as_it_is";  // however many bytes: nothing of it travels as it is
        if (!has || (route.bytes + route.recipe_bytes >= bytes && !only)) continue;
        bytes = route.bytes + route.recipe_bytes;
        kind = route.kind;
      }
    }
    out.bytes += bytes;
    if (file.size > most || out.kind == "none") {
      most = file.size;
      out.kind = kind;
    }
  }
  return out;
}

Result<Figures> figures(db::Connection& reader) {
  Figures out;
  {
    auto rows = reader.prepare(kCountStates);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      out.recipes.emplace_back(rows.text(0), rows.int64(1));
    }
  }
  auto row = reader.prepare(kObjectsBytes);
  FLEET_CHECK(row.step());
  out.bytes = row.int64(0);
  out.objects = row.int64(1);
  return out;
}

}  // namespace fleet::routes
