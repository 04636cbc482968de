#pragma once

#include "core/wire/device.hpp"
#include "server/registry/device_facts.hpp"
#include "server/registry/device_quota.hpp"
#include "server/store/store.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fleet::fronts {

/// A device as its report finds it.
struct Reporter {
  registry::DeviceFacts facts;
  std::vector<registry::QuotaRow> quotas;
  wire::ByTier<std::int64_t> acked;
};

/// What reports that are taken together read, once for all: the rows of their devices, and what none of them changes. The writer's thread alone uses it.
class Reporters final : public store::Fold {
public:
  Result<void> load(store::Tx& tx, std::span<std::int64_t const> devices) override;
  /// One of the devices that were loaded, given away. @errors unauthenticated (code `unknown_device`), forbidden (`device_revoked`, `device_retired`)
  Result<Reporter> take(store::Tx& tx, std::int64_t device_n);
  /// Somebody made the model.
  Result<bool> knows(store::Tx& tx, std::string const& model);
  /// By which labels samples are kept apart.
  Result<std::vector<std::string>> labels(store::Tx& tx);

private:
  std::map<std::int64_t, Reporter> devices_;
  std::map<std::string, bool> models_;
  std::optional<std::vector<std::string>> labels_;
};

}  // namespace fleet::fronts
