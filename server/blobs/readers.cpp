#include "server/blobs/readers.hpp"

#include "core/wire/json.hpp"
#include "server/blobs/queries.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

namespace fleet::blobs {
namespace {

constexpr std::size_t kModelsBytesMax = 16 * 1024;

Result<bool> is_in(db::Connection& reader, db::Query const& releases, Digest const& sha256, std::string_view model) {
  auto row = reader.prepare(releases);
  return row.bind_all(sha256, model).step();
}

}  // namespace

Result<bool> may_read(db::Connection& reader, Digest const& sha256, std::string_view actor, std::string_view model) {
  FLEET_TRY(bool const found, is_in(reader, kInRelease, sha256, model));
  if (found) return true;
  auto sent = reader.prepare(kUploadedBy);
  return sent.bind_all(sha256, actor).step();
}

Result<std::optional<std::vector<std::string>>> cached_models(db::Connection& reader, std::int64_t device_n) {
  auto cache = reader.prepare(kCacheOf);
  FLEET_TRY(bool const found, cache.bind(1, device_n).step());
  if (!found || cache.is_null(0)) return std::optional<std::vector<std::string>>();
  FLEET_TRY(auto const list, wire::parse_json(cache.text_view(0), kModelsBytesMax));
  std::vector<std::string> out;
  for (auto const& model : list.as_array()) out.emplace_back(model.as_string());
  return std::optional(std::move(out));
}

Result<bool> may_device_read(db::Connection& reader, Digest const& sha256, std::int64_t device_n) {
  FLEET_TRY(auto const models, cached_models(reader, device_n));
  if (models && models->empty()) return is_in(reader, kInOpenRelease, sha256, "");
  if (models) {
    for (auto const& model : *models) {
      FLEET_TRY(bool const found, is_in(reader, kInOpenRelease, sha256, model));
      if (found) return true;
    }
    return false;
  }
  auto named = reader.prepare(kNamedToDevice);
  return named.bind_all(sha256, device_n).step();
}

Result<std::optional<Name>> find_name(db::Connection& reader, Digest const& sha256) {
  auto blob = reader.prepare(kGetBlob);
  FLEET_TRY(bool const found, blob.bind(1, sha256).step());
  return found ? std::optional(Name{sha256, static_cast<std::uint64_t>(blob.int64(0)), blob.text(1)}) : std::nullopt;
}

Error unknown_blob(Digest const& sha256) { return {Kind::not_found, "unknown_blob", fmt::format("there is no blob {}", sha256.hex())}; }

}  // namespace fleet::blobs
