#pragma once

#include "cli/args/command.hpp"
#include "core/base/fs.hpp"

#include <boost/json/object.hpp>

/// --signer NAME=FILE and --demands FILE: who may speak for a model's releases, and what must have been said (docs/ci.md, Evidence).
namespace fleet::cli {

/// `signers` and `demands` of `body`: those of `present` (null: none) with the changes of the command line, as trust::encode writes them.
/// @errors not_found, bad_input
[[nodiscard]] Result<void> set_evidence(Fs& fs, Arguments const& arguments, boost::json::value const& present, boost::json::object& body);

}  // namespace fleet::cli
