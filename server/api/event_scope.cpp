#include "server/api/event_scope.hpp"

#include "server/access/roles.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>

namespace fleet::api {
namespace {

struct Row {
  std::string_view kind;
  Thing thing;
};
constexpr auto kRows = std::to_array<Row>({{"device", Thing::device}, {"rollout", Thing::rollout}, {"release", Thing::release}, {"model", Thing::model}});
constexpr auto kForAdmins = std::to_array<std::string_view>({"token", "role"});

/// What a device does is of the model that it does it with.
bool is_of_other_model(Call const& call, boost::json::value const& data) {
  auto const* const object = data.if_object();
  auto const* const model = object == nullptr ? nullptr : object->if_contains("model");
  auto const* const name = model == nullptr ? nullptr : model->if_string();
  return name != nullptr && !call.actor.limits.covers_model(*name);
}

}  // namespace

Result<bool> may_see(Call const& call, db::Connection& reader, std::string_view subject, boost::json::value const& data) {
  auto const kind = subject.substr(0, subject.find('/'));
  if (std::find(kForAdmins.begin(), kForAdmins.end(), kind) != kForAdmins.end()) return access::role_allows(call.actor.role, Permission::administer);
  if (!call.actor.limits.any()) return true;
  auto const row = std::find_if(kRows.begin(), kRows.end(), [&](Row const& one) { return one.kind == kind; });
  if (row == kRows.end() || kind.size() == subject.size() || is_of_other_model(call, data)) return false;
  auto const covered = check(row->thing, call, reader, subject.substr(kind.size() + 1));
  if (!covered && covered.error().kind != Kind::forbidden) return covered.error();
  return covered.has_value();
}

}  // namespace fleet::api
