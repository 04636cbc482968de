#pragma once

#include "server/store/db/db.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace fleet::api {

struct Call;

/// What a value of a request names. The caller's limits (registry::Limits) must cover it before the handler runs.
enum class Thing {
  model,         ///< a model's name
  release,       ///< MODEL@VERSION
  device,        ///< a device's id
  moved_device,  ///< the same, and what the handler leaves of it
  rollout,       ///< a rollout's id: its model, and all that its selector may reach
  devices,       ///< a selector that may reach no device beyond; where it is absent it reaches all
  some_devices,  ///< the same; where it is absent it reaches none
  question,      ///< a selector that only narrows what the caller sees anyway
  bindings,      ///< the body of a request for device tokens: what the devices will be
  device_token,  ///< a device token's id: to a caller with limits it is its maker's
  upload,        ///< an upload's id: it is its maker's, whoever calls
  blob,          ///< a digest: for whom something names it
  family,        ///< true: everything made from a release, whatever its model
  whole_fleet,   ///< true: what all devices did, whatever they run
  parents,       ///< of a release, or members of a set: those of other models may be what everybody knows, approved ones
  moved_model,   ///< a model whose release is rolled out: of a set, its members' too
  moved_rollout, ///< a rollout that is told what to do: of a set, its members' models, too
  bundle,        ///< a bundle's id: to a caller with limits it is its maker's
};
enum class Place { path, query, body };
struct Named {
  Place place{};
  std::string_view name;  ///< a value of the path or query; of the body a member, or empty for the whole
  Thing thing{};
};

/// What a limit means to a request, where none of what it names answers that.
enum class Bound {
  unsaid,    ///< no server starts with such a route
  named,     ///< what it names is judged
  filtered,  ///< the room is given the limits and tells of nothing beyond
  open,      ///< it is of no model, or of no device
  closed,    ///< it is of all of them: not for a caller with such a limit
};

/// A few, known when the program is built: no table of routes makes anything at its start.
class Names {
public:
  constexpr Names() = default;
  constexpr Names(std::initializer_list<Named> names) {
    for (auto const& name : names) names_.at(static_cast<std::size_t>(count_++)) = name;
  }
  [[nodiscard]] constexpr auto begin() const { return names_.begin(); }
  [[nodiscard]] constexpr auto end() const { return names_.begin() + count_; }

private:
  std::array<Named, 8> names_{};
  std::ptrdiff_t count_ = 0;
};

/// What a route is about. Its row says it and `judge` holds every caller to it, so that no handler can forget to ask.
struct Scope {
  Bound models = Bound::unsaid;
  Bound devices = Bound::unsaid;
  Names names = {};
};

/// Of nobody's in particular: health, public metadata, what one sends of oneself.
inline constexpr Scope kOpen{Bound::open, Bound::open};
/// Of the whole fleet and all models.
inline constexpr Scope kWhole{Bound::closed, Bound::closed};

/// Whether the caller's limits cover one thing. @errors forbidden (code `out_of_scope`), not_found (uploads and blobs of others), bad_input
[[nodiscard]] Result<void> check(Thing thing, Call const& call, db::Connection& connection, std::string_view value);
/// Whether the caller's limits cover what the request names. Where the handler runs, before it does.
/// @errors forbidden (code `out_of_scope`, also for what does not exist: that is not told either), not_found (uploads and blobs of others), and what
/// reading the body gives
[[nodiscard]] Result<void> judge(Scope const& scope, Call const& call, db::Connection& connection);
/// Whether what the handler left of a moved_device is still covered. @errors forbidden (code `out_of_scope`)
[[nodiscard]] Result<void> judge_after(Scope const& scope, Call const& call, db::Connection& connection);

}  // namespace fleet::api
