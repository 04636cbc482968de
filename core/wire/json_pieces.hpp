#pragma once

#include "core/base/time.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Pieces of the JSON that is written and kept: what is not there is null. For .cpp files only: it pulls in Boost.JSON.
namespace fleet::wire {

/// Null when empty.
[[nodiscard]] inline boost::json::value text_or_null(std::string const& text) { return text.empty() ? boost::json::value(nullptr) : boost::json::value(text); }
/// Null when absent; a text that is there may be empty.
[[nodiscard]] inline boost::json::value text_or_null(std::optional<std::string> const& text) {
  return text ? boost::json::value(*text) : boost::json::value(nullptr);
}
/// RFC 3339; null when absent.
[[nodiscard]] inline boost::json::value time_or_null(std::optional<SysTime> at, bool with_millis = false) {
  return at ? boost::json::value(to_rfc3339(*at, with_millis)) : boost::json::value(nullptr);
}
/// The same of a column of milliseconds.
[[nodiscard]] inline boost::json::value time_or_null(std::optional<std::int64_t> unix_ms) {
  return unix_ms ? boost::json::value(to_rfc3339(from_unix_ms(*unix_ms))) : boost::json::value(nullptr);
}
/// The same of a time whose zero says that it never was.
[[nodiscard]] inline boost::json::value time_or_null(SysTime at) { return at == SysTime{} ? boost::json::value(nullptr) : boost::json::value(to_rfc3339(at)); }
/// `{"key":"value"}`, in the map's order.
[[nodiscard]] inline boost::json::object text_object(std::map<std::string, std::string> const& texts) {
  boost::json::object out;
  for (auto const& [key, value] : texts) out[key] = value;
  return out;
}

/// What we wrote ourselves and kept, in a column say; null where it does not parse. What others wrote is read by parse_json (json.hpp).
[[nodiscard]] inline boost::json::value parse_own(std::string_view text) {
  boost::system::error_code fault;
  auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), fault);
  return fault ? boost::json::value(nullptr) : value;
}

}  // namespace fleet::wire
