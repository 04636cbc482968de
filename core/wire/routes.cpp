#include "core/wire/routes.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::int64_t kBytesMax = std::int64_t{1} << 40;
constexpr std::size_t kFilesMax = 10'000;

Digest read_digest(ObjectReader& reader, std::string_view key) {
  auto const digest = Digest::parse(reader.required_text(key, 64));
  if (!digest) reader.fault(key, "expected 64 hex characters, lower case");
  return digest ? *digest : Digest{};
}

std::uint64_t read_bytes(ObjectReader& reader, std::string_view key) { return static_cast<std::uint64_t>(reader.required_integer(key, 0, kBytesMax)); }

Route read_route(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  Route out;
  out.kind = reader.required_text("kind", 32);
  for (auto const& text : reader.texts("bases", kBasesOfRouteMax, 64)) {
    auto const digest = Digest::parse(text);
    if (digest) out.bases.push_back(*digest);
    else reader.fault("bases", "expected digests");
  }
  out.recipe = read_digest(reader, "recipe");
  out.recipe_bytes = read_bytes(reader, "recipe_bytes");
  out.bytes = read_bytes(reader, "bytes");
  out.memory = read_bytes(reader, "memory");
  return out;
}

FileRoutes read_file(json::value const& value, std::string const& pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  FileRoutes out;
  out.sha256 = read_digest(reader, "sha256");
  out.size = read_bytes(reader, "size");
  auto const* const routes = reader.array("routes", kRoutesOfFileMax);
  for (std::size_t i = 0; routes != nullptr && i < routes->size(); ++i)
    out.routes.push_back(read_route((*routes)[i], fmt::format("{}/routes/{}", pointer, i), faults));
  return out;
}

}  // namespace

Result<ReleaseRoutes> decode_routes(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kRoutesBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  ReleaseRoutes out;
  out.release = read_digest(reader, "release");
  out.hardware = reader.required_text("hardware", 128);
  auto const* const files = reader.array("files", kFilesMax);
  for (std::size_t i = 0; files != nullptr && i < files->size() && faults.empty(); ++i)
    out.files.push_back(read_file((*files)[i], fmt::format("/files/{}", i), faults));
  FLEET_CHECK(no_faults(faults, "routes"));
  return out;
}

std::string encode(ReleaseRoutes const& routes) {
  json::array files;
  for (auto const& file : routes.files) {
    json::array of_file;
    for (auto const& route : file.routes) {
      json::array bases;
      for (auto const& base : route.bases) bases.emplace_back(base.hex());
      of_file.push_back({{"kind", route.kind},
                         {"bases", std::move(bases)},
                         {"recipe", route.recipe.hex()},
                         {"recipe_bytes", route.recipe_bytes},
                         {"bytes", route.bytes},
                         {"memory", route.memory}});
    }
    files.push_back({{"sha256", file.sha256.hex()}, {"size", file.size}, {"routes", std::move(of_file)}});
  }
  return json::serialize(json::object{{"release", routes.release.hex()}, {"hardware", routes.hardware}, {"files", std::move(files)}});
}

}  // namespace fleet::wire
