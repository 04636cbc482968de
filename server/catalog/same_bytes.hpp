#pragma once

#include "server/catalog/releases.hpp"

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

/// Releases by their bytes, whatever they are called: what was revoked does not come back under another name.
namespace fleet::catalog {

/// What a variant is made of: its files by digest, with their sizes. Without those that the manifest names as tests and programs, which versions share,
/// and without empty ones.
using Payload = std::map<Digest, std::uint64_t>;
[[nodiscard]] std::vector<Payload> payloads_of(wire::Release const& release);

/// Refuses a release of which a variant holds all that a revoked release is made of, or is made of such files by half of its bytes or more. A file that an
/// approved release has, too, counts for nothing: an administrator vouched for it, or other versions share it.
/// @param seen_model  the one that the caller may know of; empty: all
/// @errors conflict (code `revoked_bytes`)
[[nodiscard]] Result<void> check_not_revoked(db::Connection& reader, wire::Release const& release, std::string_view seen_model);
/// Approved releases of which a variant holds all that a variant of `release` is made of.
[[nodiscard]] Result<std::vector<Release>> same_bytes(db::Connection& reader, Release const& release);

}  // namespace fleet::catalog
