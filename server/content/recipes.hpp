#pragma once

#include "core/wire/release.hpp"
#include "core/wire/routes.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

/// What was prepared, as devices and people are told of it, and who may read it.
namespace fleet::routes {

/// For the variant that a hardware has: what is ready, of each file.
[[nodiscard]] Result<wire::ReleaseRoutes> routes_of(db::Connection& reader, wire::Release const& release, Digest const& digest, std::string const& hardware);
struct SignedRoutes {
  std::string envelope;      ///< DSSE
  std::int64_t wanting = 0;  ///< the release, where it is protected and not all of its files have been encrypted: its devices wait for that
};
/// The same for a device, signed as directives are. @errors not_found (`unknown_release`: none that a directive named to it)
[[nodiscard]] Result<SignedRoutes> sign_routes(db::Connection& reader, signing::KeyRing& keys, Digest const& release, std::int64_t device_n);

/// What a bundle has of a protected release for a hardware: the ways that need nothing, and all objects of theirs.
struct PackedRoutes {
  std::string envelope;  ///< DSSE, as sign_routes gives it
  std::vector<std::pair<Digest, std::uint64_t>> objects;  ///< and their sizes
};
/// @errors unavailable (`encryption`: not all of it has been encrypted)
[[nodiscard]] Result<PackedRoutes> pack_routes(db::Connection& reader, signing::KeyRing& keys, wire::Release const& release, Digest const& digest, std::string const& hardware);

/// Has a protected release's files encrypted, unless that waits already. Blocks: not on an io thread.
Result<void> want_encrypted(store::Store& store, std::int64_t release, SysTime now);

/// The items of `release get`: by file what there is, what is being made, and what was not worth it.
/// `{"hardware":[...],"variant","file","sha256","size","routes":[{"state","kind","encrypted","from":"model@version" or null,"base","bytes","recipe_bytes","memory","saves_percent","devices","why"}]}`
[[nodiscard]] Result<std::vector<std::string>> routes_json(db::Connection& reader, wire::Release const& release);

/// Bytes of an object that routes name; nothing: there is none.
[[nodiscard]] Result<std::optional<std::uint64_t>> object_size(db::Connection& reader, Digest const& sha256);
/// Who may read the file that it helps to make: a device what its hardware has in releases that were named to it, a cache what its models have.
[[nodiscard]] Result<bool> may_device_read(db::Connection& reader, Digest const& sha256, std::int64_t device_n);
/// @param model  empty: any
[[nodiscard]] Result<bool> is_in_release(db::Connection& reader, Digest const& sha256, std::string_view model);

/// How a release would travel to devices that run another version of its model.
struct Travel {
  std::string kind;         ///< of most of its bytes: as_it_is, compressed, tensor_delta, binary_delta; `none`: the device has all
  std::uint64_t bytes = 0;  ///< over the link
  std::uint64_t size = 0;   ///< of the files
};
/// @param from  what runs there; null: nothing @param hardware  that both have a variant for, or the second none
[[nodiscard]] Result<Travel> travel_of(db::Connection& reader, wire::Release const& release, wire::Release const* from, std::string const& hardware);

struct Figures {
  std::vector<std::pair<std::string, std::int64_t>> recipes;  ///< by state
  std::int64_t objects = 0, bytes = 0;
};
[[nodiscard]] Result<Figures> figures(db::Connection& reader);

}  // namespace fleet::routes
