#pragma once

#include "agent/store/layout.hpp"
#include "core/base/result.hpp"

#include <string>

namespace fleet::agent {

/// `status`: from the daemon, or from the journal where none runs. @param json  the object as it is; otherwise for people
Result<std::string> show_status(Layout const& layout, bool json);
/// `explain [MODEL]`: why each model is where it is.
Result<std::string> explain(Layout const& layout, std::string const& model, bool json);
/// `rollback`, `unhold` and `consent`: by the daemon, or here where none runs. @errors bad_input (code `which_model`), and what the daemon says
Result<void> order(Layout const& layout, std::string const& what, std::string const& model);
/// `collect`: status, config, journal, and the names of what is kept, as a tar of text files without secrets.
Result<void> collect(Layout const& layout, std::string const& file);

}  // namespace fleet::agent
