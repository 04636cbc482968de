#pragma once

#include "server/api/route.hpp"
#include "server/catalog/models.hpp"

namespace fleet::api {

/// Creates a model or changes it: approvals, aliases, evidence, standing policies. Where an alias moves that has one, its rollout starts in the same
/// transaction. Plans scan the fleet: work.
[[nodiscard]] Result<Reply> put_model(Services& services, Call const& call);
[[nodiscard]] Reply model_reply(catalog::Model const& model, int status = 200);

}  // namespace fleet::api
