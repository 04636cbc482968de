#pragma once

#include "cli/client/session.hpp"
#include "core/base/result.hpp"

#include <string>

namespace boost::json {
class value;
}

namespace fleet::cli {

/// A policy as the API takes it: a preset by its name, else the file of that path, YAML or JSON. A file that is named like a preset is meant by
/// `./NAME`. What the server finds wrong with it is then told with its lines. @errors not_found, bad_input
[[nodiscard]] Result<boost::json::value> read_policy(Session& session, std::string const& text);

}  // namespace fleet::cli
