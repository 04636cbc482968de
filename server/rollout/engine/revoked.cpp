#include "server/rollout/engine/revoked.hpp"

#include <algorithm>
#include <set>

namespace fleet::rollout {

std::vector<std::string> revoked_here(ModelRollouts const& of_model, DeviceRows const& rows) {
  constexpr std::size_t kMost = 64;  // what a directive may tell
  std::set<std::string> out;
  auto const look_at = [&](RolloutView const& view, Arm arm) {
    auto const shipped = view.rollout.shipped(arm);
    bool const was_here = std::any_of(rows.begin(), rows.end(), [&](auto const& row) {
      return (row.first == view.rollout.n && row.second.exposed && view.rollout.is_of_release(row.second.arm) == view.rollout.is_of_release(arm)) ||
             row.second.from_digest == shipped.digest;
    });
    if (out.size() < kMost && view.revoked(arm) && was_here) out.insert(shipped.digest.hex());
  };
  for (auto const& view : of_model.revoked) {
    look_at(*view, Arm::canary);
    if (view->rollout.against) look_at(*view, Arm::against);
  }
  return {out.begin(), out.end()};
}

}  // namespace fleet::rollout
