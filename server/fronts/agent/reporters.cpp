#include "server/fronts/agent/reporters.hpp"

#include "server/delivery/device_record.hpp"
#include "server/delivery/queries.hpp"
#include "server/telemetry/labels.hpp"

#include <fmt/format.h>

#include <utility>

namespace fleet::fronts {

Result<void> Reporters::load(store::Tx& tx, std::span<std::int64_t const> devices) {
  devices_.clear();
  models_.clear();
  labels_.reset();
  auto& reader = tx.connection();
  FLEET_TRY(auto facts, registry::load_active_facts(reader, devices));
  FLEET_TRY(auto quotas, registry::load_quotas(reader, devices));
  FLEET_TRY(auto acked, delivery::load_tiers(reader, devices));
  for (auto& [n, device] : facts) devices_.emplace(n, Reporter{std::move(device), std::move(quotas[n]), acked[n]});
  return {};
}

Result<Reporter> Reporters::take(store::Tx& tx, std::int64_t device_n) {
  auto const found = devices_.extract(device_n);
  if (found) return std::move(found.mapped());
  FLEET_CHECK(delivery::load_record(tx.connection(), device_n));  // says why it is not among them
  return Error{Kind::internal, "internal", fmt::format("device {} was not read before its report", device_n)};
}

Result<bool> Reporters::knows(store::Tx& tx, std::string const& model) {
  auto const found = models_.find(model);
  if (found != models_.end()) return found->second;
  FLEET_TRY(bool const known, tx.prepare(delivery::kKnowsModel).bind_all(model).step());
  return models_.emplace(model, known).first->second;
}

Result<std::vector<std::string>> Reporters::labels(store::Tx& tx) {
  if (!labels_) {
    FLEET_TRY(labels_, telemetry::load_labels(tx.connection()));
  }
  return *labels_;
}

}  // namespace fleet::fronts
