#include "server/rollout/engine/revoked.hpp"

#include <algorithm>
#include <set>

namespace fleet::rollout {

std::vector<std::string> revoked_here(ModelRollouts const& of_model, DeviceRows const& rows) {
  constexpr std::size_t kMost = 64;  // what a directive may tell
  std::set<std::string> out;
  auto const was_here = [&](RolloutView const& view) {
    return std::any_of(rows.begin(), rows.end(),
                       [&](auto const& row) { return (row.first == view.rollout.n && row.second.exposed) || row.second.from_digest == view.rollout.digest; });
  };
  for (auto const& view : of_model.revoked)
    if (out.size() < kMost && was_here(*view)) out.insert(view->rollout.digest.hex());
  return {out.begin(), out.end()};
}

}  // namespace fleet::rollout
