#pragma once

#include "core/net/http.hpp"

#include <string_view>

namespace fleet::api {

/// A problem with a status that no kind of error stands for (405).
[[nodiscard]] net::Response problem_as(int status, std::string_view title, Error const& error, std::string_view request_id);

}  // namespace fleet::api
