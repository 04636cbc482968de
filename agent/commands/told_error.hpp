#pragma once

#include "core/wire/json.hpp"


/// Errors that the daemon tells over its control socket. For .cpp files only: it pulls in Boost.JSON.
namespace fleet::agent {

/// The error object `key` of an answer, as an Error again; nothing where there is none.
inline Result<void> told_error(boost::json::value const& answer, std::string_view key) {
  auto const* const error = answer.is_object() ? answer.get_object().if_contains(key) : nullptr;
  if (error == nullptr || !error->is_object()) return {};
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*error, "", faults);
  auto const kind = reader.text("kind", 32, {});
  Error out{Kind::internal, reader.text("code", 64, {}), reader.text("detail", 2048, {}), reader.text("hint", 1024, {})};
  for (auto const known : {Kind::bad_input, Kind::not_found, Kind::conflict, Kind::unavailable, Kind::forbidden, Kind::signature, Kind::expired, Kind::unprocessable,
                           Kind::too_large, Kind::io, Kind::corrupt, Kind::timeout})
    if (to_string(known) == kind) out.kind = known;
  return out;
}

}  // namespace fleet::agent
