#include "server/rollout/shell/decided.hpp"

#include "server/rollout/engine/revoked.hpp"
#include "server/rollout/engine/sets.hpp"
#include "server/rollout/shell/places.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/rollout/shell/set_rows.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace {

/// What a device returns to, as the catalog has it. A version the catalog does not know keeps what the device told of it; one that was revoked, by a
/// rollout that is long past, is no place to return to.
Result<void> fill_return(db::Connection& reader, Desired& desired) {
  auto& target = desired.target;
  if (target.action != wire::Action::revert && target.action != wire::Action::prove) return {};
  auto row = reader.prepare(queries::kReleaseTarget);
  row.bind_all(desired.model, desired.version);
  FLEET_TRY(bool const found, row.step());
  bool const proves = target.action == wire::Action::prove;
  if (proves && (!found || row.text_view(2) == "revoked")) {  // nobody can say which bytes it should prove: it is no control
    target = {};
    desired.joins = false;
    return {};
  }
  if (!found) return {};
  if (row.text_view(2) == "revoked") {
    desired.because.push_back({"revoked", fmt::format("{} was revoked: the model is taken away", desired.version)});
    desired.version.clear();
    target.action = wire::Action::remove;
    target.path.clear();
    target.length = 0;
    target.hashes.clear();
    return {};
  }
  target.hashes = {{"sha256", row.digest(0).hex()}};
  target.length = static_cast<std::uint64_t>(row.int64(1));
  return {};
}

/// Of a set, the members of what the device should run; of one that goes, and is followed by nothing that the catalog knows, those of what goes.
Result<void> fill_members(db::Connection& reader, Snapshot const& snapshot, Desired& desired) {
  auto const view = snapshot.by_n.find(desired.rollout_n);
  if (desired.target.model.empty() || view == snapshot.by_n.end() || view->second->members.empty()) return {};
  desired.members = view->second->members;
  if (desired.version.empty() || desired.version == view->second->rollout.version) return {};
  auto row = reader.prepare(queries::kReleaseTarget);
  row.bind_all(desired.model, desired.version);
  FLEET_TRY(bool const found, row.step());
  if (!found) return {};
  FLEET_TRY(auto members, load_members(reader, row.int64(3)));
  if (!members.empty()) desired.members = std::move(members);
  return {};
}

}  // namespace

Result<std::vector<ModelDecision>> decide_all(db::Connection& reader, Snapshot const& snapshot, registry::DeviceFacts const& device, DeviceRows const& rows, Instant now) {
  Asking asking{now};
  FLEET_TRY(asking.under_way, under_way(reader, snapshot, device));
  std::vector<ModelDecision> out;
  std::vector<Desired> desired;
  for (auto const& [model, views] : snapshot.models) {
    auto decided = decide_model(snapshot, model, device, rows, asking);
    FLEET_CHECK(fill_return(reader, decided.desired));
    FLEET_CHECK(fill_members(reader, snapshot, decided.desired));
    decided.desired.revoked = revoked_here(views, rows);
    desired.push_back(std::move(decided.desired));
    out.push_back(std::move(decided));
  }
  join_sets(snapshot, desired);  // models of which a set alone speaks are put behind these
  out.resize(desired.size());
  for (std::size_t i = 0; i < desired.size(); ++i) out[i].desired = std::move(desired[i]);
  return out;
}

}  // namespace fleet::rollout
