#include "server/registry/limits.hpp"

#include "server/registry/groups.hpp"

#include <algorithm>

namespace fleet::registry {

Result<Limits> Limits::read(db::Connection& reader, std::string model, std::string selector) {
  Limits out{std::move(model), std::move(selector), {}};
  if (out.selector.empty()) return out;
  FLEET_TRY(out.devices, read_kept_selector(reader, out.selector));
  return out;
}

bool Limits::may_ask(Selector const& question) const {
  auto const own = model + '@';
  auto const says_nothing = [&](Condition const& condition) {
    return condition.key != "running" ||
           (!condition.values.empty() && std::all_of(condition.values.begin(), condition.values.end(), [&](auto const& value) { return value.starts_with(own); }));
  };
  if (model.empty()) return true;
  auto const group_says_nothing = [&](auto const& group) { return !group.second || may_ask(*group.second); };
  return std::all_of(question.conditions().begin(), question.conditions().end(), says_nothing) &&
         std::all_of(question.groups().begin(), question.groups().end(), group_says_nothing);
}

}  // namespace fleet::registry
