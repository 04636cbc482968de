#pragma once

#include "core/base/fs.hpp"
#include "core/base/result.hpp"

#include <string>

namespace boost::json {
class value;
}

namespace fleet::cli {

/// A policy as the API takes it: a preset by its name, else the file of that path, YAML or JSON. A file that is named like a preset is meant by
/// `./NAME`. @errors not_found, bad_input
[[nodiscard]] Result<boost::json::value> read_policy(Fs& fs, std::string const& text);

}  // namespace fleet::cli
