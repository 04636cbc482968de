#include "server/registry/limits.hpp"

#include <algorithm>

namespace fleet::registry {

Result<Limits> Limits::read(std::string model, std::string selector) {
  Limits out{std::move(model), std::move(selector), {}};
  if (out.selector.empty()) return out;
  FLEET_TRY(out.devices, Selector::parse(out.selector));
  return out;
}

bool Limits::may_ask(Selector const& question) const {
  auto const own = model + '@';
  auto const says_nothing = [&](Condition const& condition) {
    return condition.key != "running" ||
           (!condition.values.empty() && std::all_of(condition.values.begin(), condition.values.end(), [&](auto const& value) { return value.starts_with(own); }));
  };
  return model.empty() || std::all_of(question.conditions().begin(), question.conditions().end(), says_nothing);
}

}  // namespace fleet::registry
