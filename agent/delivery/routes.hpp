#pragma once

#include "agent/delivery/shelf.hpp"
#include "agent/trust/remote.hpp"
#include "agent/store/trusted_clock.hpp"
#include "core/wire/routes.hpp"

#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Which routes the server has prepared for a release, signed as directives are. Nothing: none, or the server is of before routes.
/// @param store_dir  of the directive root
/// @errors signature, expired, bad_input, conflict (code `foreign_routes`: of another release or hardware), and what the remote says
[[nodiscard]] Result<std::optional<wire::ReleaseRoutes>> fetch_routes(Fs& fs, Remote& remote, SysTime now, std::string const& store_dir, Digest const& release,
                                                                      std::string const& hardware);

/// The same out of an envelope that is here. @errors as fetch_routes, without the remote's
[[nodiscard]] Result<wire::ReleaseRoutes> open_routes(Fs& fs, SysTime now, std::string const& store_dir, std::string const& envelope, Digest const& release, std::string const& hardware);

struct RouteBounds {
  std::uint64_t memory_max = 0;
  std::optional<std::uint64_t> as_it_is = {};  ///< bytes of the rest of the file as it is: no route that takes more is of use; nothing: there is no such way
};
/// Of a file's routes those that this device can take, the fewest bytes first.
/// @param have  how much of the file is there
[[nodiscard]] std::vector<wire::Route> choose_routes(wire::FileRoutes const& file, std::uint64_t have, Shelf const& shelf, RouteBounds const& bounds);
/// What a route costs where so much of its file is there.
[[nodiscard]] std::uint64_t cost_of(wire::Route const& route, std::uint64_t size, std::uint64_t have);

}  // namespace fleet::agent
