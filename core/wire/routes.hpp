#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// By which routes the files of a release can travel (docs/protocol.md, routes; docs/adr/0036).
namespace fleet::wire {

inline constexpr std::string_view kRoutesPayloadType = "application/vnd.fleet.routes+json";
inline constexpr std::size_t kRoutesBytesMax = 1024 * 1024;          ///< of the document
inline constexpr std::size_t kRoutesEnvelopeBytesMax = 1536 * 1024;  ///< with base64 and signatures
inline constexpr std::size_t kRoutesOfFileMax = 16;
inline constexpr std::size_t kBasesOfRouteMax = 64;

/// One recipe (core/content/recipe.hpp) that makes a file.
struct Route {
  std::string kind;           ///< compressed, tensor_delta, binary_delta: for people; how to follow it stands in the recipe
  std::vector<Digest> bases;  ///< files that it starts from; empty: none is needed
  Digest recipe;
  std::uint64_t recipe_bytes = 0;
  std::uint64_t bytes = 0;   ///< of wire objects that it needs
  std::uint64_t memory = 0;  ///< that following it takes, in bytes
  bool operator==(Route const&) const = default;
};
struct FileRoutes {
  Digest sha256;
  std::uint64_t size = 0;
  std::vector<Route> routes;
  bool operator==(FileRoutes const&) const = default;
};
/// For one variant of a release: files that have no route are fetched as they are.
struct ReleaseRoutes {
  Digest release;  ///< of its release.json
  std::string hardware;
  std::vector<FileRoutes> files;
  bool operator==(ReleaseRoutes const&) const = default;
};
/// The payload of an envelope: verify first (trust::open_envelope), then decode. @errors bad_input, too_large
[[nodiscard]] Result<ReleaseRoutes> decode_routes(std::string_view json);
[[nodiscard]] std::string encode(ReleaseRoutes const& routes);

}  // namespace fleet::wire
