#pragma once

#include "core/inspect/variant.hpp"
#include "core/wire/release.hpp"

namespace fleet::inspect {

/// What a manifest says of the content of a variant's files, which a device would find out late: the expected output of the golden test is of a size that is
/// compared, and each of its tolerances has a column. Asked where Inspector is.
/// @param real_name  of a name that may lead through links
/// @errors unprocessable (codes `expected_too_large`, `unknown_column`) that names the file; io
[[nodiscard]] Result<void> check_expected(Fs& fs, std::vector<VariantFile> const& files, wire::Manifest const& manifest,
                                          std::function<std::string(std::string const&)> const& real_name);

}  // namespace fleet::inspect
