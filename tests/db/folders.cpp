#include "tests/db/folders.hpp"

#include "server/admin/queries.hpp"
#include "server/access/queries.hpp"
#include "server/blobs/queries.hpp"
#include "server/catalog/queries.hpp"
#include "server/content/queries.hpp"
#include "server/cost/queries.hpp"
#include "server/delivery/queries.hpp"
#include "server/events/queries.hpp"
#include "server/nodes/queries.hpp"
#include "server/registry/queries.hpp"
#include "server/rollout/shell/queries.hpp"
#include "server/signing/queries.hpp"
#include "server/store/queries.hpp"
#include "server/telemetry/queries.hpp"
#include "server/upkeep/queries.hpp"

namespace fleet::test {

std::map<std::string, std::span<db::Query const>> const& folders() {
  static std::map<std::string, std::span<db::Query const>> const all{
      {"server/admin", admin::kQueries},
      {"server/access", access::queries::kAll},
      {"server/blobs", blobs::kQueries},
      {"server/catalog", catalog::kQueries},
      {"server/content", routes::kQueries},
      {"server/cost", cost::kQueries},
      {"server/delivery", delivery::kQueries},
      {"server/events", events::kQueries},
      {"server/nodes", nodes::kQueries},
      {"server/registry", registry::queries::kAll},
      {"server/rollout/shell", rollout::queries::kAll},
      {"server/signing", signing::kQueries},
      {"server/store", store::kQueries},
      {"server/telemetry", telemetry::kQueries},
      {"server/upkeep", upkeep::kQueries},
  };
  return all;
}

}  // namespace fleet::test
