#include "server/api/device_scope.hpp"

#include <fmt/format.h>

namespace fleet::api {

Error outside_selector(Call const& call, std::string_view what) {
  return Error{Kind::forbidden, "out_of_scope",
               fmt::format("{} is limited to devices of '{}', which does not cover {}", call.actor.name, call.actor.selector, what),
               "use a token without that limit"};
}

Result<void> check_scope(Call const& call, db::Connection& connection, registry::Device const& device) {
  if (call.actor.selector.empty()) return {};
  FLEET_TRY(auto const scope, registry::Selector::parse(call.actor.selector));
  FLEET_TRY(auto const running, registry::load_running(connection, device.n));
  if (!scope.matches(registry::view_of(device, &running))) return outside_selector(call, "device " + device.id);
  return {};
}

Result<std::optional<registry::Selector>> scope_of(Call const& call) {
  std::optional<registry::Selector> out;
  if (call.actor.selector.empty()) return out;
  FLEET_TRY(out, registry::Selector::parse(call.actor.selector));
  return out;
}

Result<void> check_selector_within(Call const& call, std::string_view selector, std::string_view what) {
  FLEET_TRY(auto const scope, scope_of(call));
  if (!scope) return {};
  FLEET_TRY(auto const wanted, registry::Selector::parse(selector));
  if (wanted.is_within(*scope)) return {};
  auto error = outside_selector(call, fmt::format("{} ({})", what, selector.empty() ? std::string_view("all devices") : selector));
  error.hint = fmt::format("narrow it: -l '{}{}{}'", call.actor.selector, selector.empty() ? "" : ",", selector);
  return error;
}

Result<registry::Device> load_in_scope(Call const& call, db::Connection& connection) {
  FLEET_TRY(auto device, registry::load_device(connection, call.path_value("id")));
  FLEET_CHECK(check_scope(call, connection, device));
  return device;
}

Result<void> check_not_model_bound(Call const& call) {
  if (call.actor.model.empty()) return {};
  return Error{Kind::forbidden, "out_of_scope", fmt::format("{} is limited to model '{}' and changes no devices", call.actor.name, call.actor.model),
               "use a token without that limit"};
}

Result<registry::Device> load_for_change(Call const& call, db::Connection& connection) {
  FLEET_CHECK(check_not_model_bound(call));
  FLEET_TRY(auto device, load_in_scope(call, connection));
  FLEET_CHECK(check_if_match(call, device.revision));
  return device;
}

}  // namespace fleet::api
