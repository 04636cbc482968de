#pragma once

#include "cli/client/session.hpp"

#include <boost/json/fwd.hpp>

namespace fleet::cli {

/// GET /trust as a table, and what it means as a sentence; programs get the object.
Result<int> show_trust(Session& session, boost::json::value const& trust);

}  // namespace fleet::cli
