#pragma once

#include "core/base/result.hpp"
#include "core/wire/release.hpp"

#include <vector>

namespace fleet::wire {

/// What a manifest says of files must be true in every variant: the golden test's files are there, a command's file is there and executable.
void check_manifest_files(Release const& release, std::vector<FieldError>& faults);

}  // namespace fleet::wire
