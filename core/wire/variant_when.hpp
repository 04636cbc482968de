#pragma once

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <boost/json/object.hpp>

/// When a device runs which variant of a release, for release.cpp.
namespace fleet::wire {

/// `variants` of a manifest. @param strict  unknown conditions are refused; else such a variant is never run
[[nodiscard]] std::map<std::string, VariantWhen> read_whens(boost::json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults);
[[nodiscard]] boost::json::object whens_json(std::map<std::string, VariantWhen> const& whens);

/// Names of variants: each hardware has one without a name, which runs unless something else is said; the others are told apart by name, and the manifest says
/// when they run. @param strict  as people ask for it: the manifest says nothing of variants that are not there
void check_variant_names(Release const& release, bool strict, std::vector<FieldError>& faults);

}  // namespace fleet::wire
