#pragma once

#include "core/base/result.hpp"
#include "core/wire/release.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

namespace fleet::wire {

class ObjectReader;

/// `handler` and `installer` of a manifest. @param strict  what people write: unknown handlers are refused; in a signed release they are kept as they are, so that none is taken for another
void read_handler(ObjectReader& manifest, std::string const& at, bool strict, Manifest& out, std::vector<FieldError>& faults);
/// The agent's own model and its handler go together, and each variant has the program.
void check_agent_release(Release const& release, std::vector<FieldError>& faults);
void write_handler(Manifest const& manifest, boost::json::object& out);

}  // namespace fleet::wire
