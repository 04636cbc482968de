#include "agent/delivery/routes.hpp"

#include "agent/trust/directive_root.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {

Result<std::optional<wire::ReleaseRoutes>> fetch_routes(Fs& fs, Remote& remote, SysTime now, std::string const& store_dir, Digest const& release,
                                                        std::string const& hardware) {
  auto const answer = remote.get("/device/v1/routes/" + release.hex(), wire::kRoutesEnvelopeBytesMax);
  if (!answer && answer.error().kind == Kind::not_found) return std::optional<wire::ReleaseRoutes>{};
  if (!answer) return answer.error();
  FLEET_TRY(auto routes, open_routes(fs, now, store_dir, answer->body, release, hardware));
  return std::optional(std::move(routes));
}

Result<wire::ReleaseRoutes> open_routes(Fs& fs, SysTime now, std::string const& store_dir, std::string const& envelope, Digest const& release, std::string const& hardware) {
  FolderStore store(fs, store_dir);
  FLEET_TRY(auto const payload, open_by_kept_root(store, now, envelope, wire::kRoutesPayloadType, wire::kRoutesEnvelopeBytesMax));
  FLEET_TRY(auto routes, wire::decode_routes(as_text(payload)));
  if (routes.release != release || routes.hardware != hardware)
    return Error{Kind::conflict, "foreign_routes", fmt::format("the routes are of release {} for hardware {}", routes.release.hex(), routes.hardware)};
  return routes;
}

/// A route takes two requests more than the file as it is: the recipe's and an object's.
constexpr std::uint64_t kRequestsBytes = 2 * 1024;

std::uint64_t cost_of(wire::Route const& route, std::uint64_t size, std::uint64_t have) {
  auto const open = size == 0 ? 0. : static_cast<double>(size - std::min(size, have)) / static_cast<double>(size);
  return route.recipe_bytes + static_cast<std::uint64_t>(static_cast<double>(route.bytes) * open);
}

std::vector<wire::Route> choose_routes(wire::FileRoutes const& file, std::uint64_t have, Shelf const& shelf, RouteBounds const& bounds) {
  std::vector<wire::Route> out;
  for (auto const& route : file.routes) {
    bool const possible = route.memory <= bounds.memory_max && std::all_of(route.bases.begin(), route.bases.end(), [&](Digest const& base) { return shelf.has(base); });
    if (possible && (!bounds.as_it_is || cost_of(route, file.size, have) + kRequestsBytes < *bounds.as_it_is)) out.push_back(route);
  }
  std::stable_sort(out.begin(), out.end(), [&](auto const& a, auto const& b) { return cost_of(a, file.size, have) < cost_of(b, file.size, have); });
  return out;
}

}  // namespace fleet::agent
