#pragma once

#include "server/api/route.hpp"
#include "server/registry/devices.hpp"

namespace fleet::api {

/// @errors forbidden (code `out_of_scope`): the token's selector does not cover the device
[[nodiscard]] Result<void> check_scope(Call const& call, db::Connection& connection, registry::Device const& device);
/// The device `{id}` of the path, where the token's selector covers it. @errors not_found (unknown_device), forbidden (out_of_scope)
[[nodiscard]] Result<registry::Device> load_in_scope(Call const& call, db::Connection& connection);
/// The same for a change of the device as a whole, which a token for one model may not make, with If-Match held to.
[[nodiscard]] Result<registry::Device> load_for_change(Call const& call, db::Connection& connection);
/// Nothing is asked for outside what the token's selector covers, by the words of both (Selector::is_within). @param what  for the message
/// @errors forbidden (code `out_of_scope`), bad_input (selector)
[[nodiscard]] Result<void> check_selector_within(Call const& call, std::string_view selector, std::string_view what);
/// The token's selector; nothing where it has none.
[[nodiscard]] Result<std::optional<registry::Selector>> scope_of(Call const& call);
/// A token limited to one model changes no devices. @errors forbidden (out_of_scope)
[[nodiscard]] Result<void> check_not_model_bound(Call const& call);
[[nodiscard]] Error outside_selector(Call const& call, std::string_view what);

}  // namespace fleet::api
