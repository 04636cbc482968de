#pragma once

#include <string>

namespace fleet::api {

/// `schema/openapi.yaml`, compiled in, as JSON. Converted once. A document that does not convert is a bug: throws std::logic_error.
[[nodiscard]] std::string const& openapi_json();

}  // namespace fleet::api
