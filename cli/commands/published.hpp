#pragma once

#include "cli/client/session.hpp"

#include <string>

/// What publishing a release and a set have in common.
namespace fleet::cli {

/// A model that is not there is most often a slip of the pen: it is never made by publishing.
[[nodiscard]] Result<void> check_model(Api& api, std::string const& model);
/// A draft waits for people's approval, or for keys that are not on the server.
[[nodiscard]] Result<void> tell_what_it_waits_for(Session& session, Api& api, std::string const& model, std::string const& version);

}  // namespace fleet::cli
