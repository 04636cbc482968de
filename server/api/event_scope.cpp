#include "server/api/event_scope.hpp"

#include "server/api/device_scope.hpp"
#include "server/access/roles.hpp"
#include "server/rollout/shell/record.hpp"

#include <algorithm>

namespace fleet::api {
namespace {

/// Whether a check let it through; what is not there is not seen.
Result<bool> passed(Result<void> const& checked) {
  if (checked) return true;
  if (checked.error().kind == Kind::forbidden || checked.error().kind == Kind::not_found) return false;
  return checked.error();
}

Result<void> check_device(Call const& call, db::Connection& reader, std::string_view id) {
  FLEET_TRY(auto const device, registry::load_device(reader, id));
  return check_scope(call, reader, device);
}

Result<void> check_rollout(Call const& call, db::Connection& reader, std::string_view id) {
  FLEET_TRY(auto const found, rollout::load_rollout(reader, id));
  FLEET_CHECK(check_model_scope(call, found.model));
  return check_selector_within(call, found.selector, "rollout");
}

Result<void> check_model(Call const& call, db::Connection&, std::string_view name) { return check_model_scope(call, name.substr(0, name.find('@'))); }

struct Row {
  std::string_view kind;
  Result<void> (*check)(Call const&, db::Connection&, std::string_view name);
};
constexpr auto kRows = std::to_array<Row>({{"device", check_device}, {"rollout", check_rollout}, {"release", check_model}, {"model", check_model}});
constexpr auto kForAdmins = std::to_array<std::string_view>({"token", "role"});

}  // namespace

Result<bool> may_see(Call const& call, db::Connection& reader, std::string_view subject) {
  auto const kind = subject.substr(0, subject.find('/'));
  if (std::find(kForAdmins.begin(), kForAdmins.end(), kind) != kForAdmins.end()) return access::role_allows(call.actor.role, Permission::administer);
  if (call.actor.model.empty() && call.actor.selector.empty()) return true;
  auto const row = std::find_if(kRows.begin(), kRows.end(), [&](Row const& one) { return one.kind == kind; });
  if (row == kRows.end() || kind.size() == subject.size()) return false;
  return passed(row->check(call, reader, subject.substr(kind.size() + 1)));
}

}  // namespace fleet::api
