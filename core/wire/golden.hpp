#pragma once

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <boost/json/object.hpp>

/// Pieces of a manifest, for release.cpp: what is proved before the switch.
namespace fleet::wire {

inline constexpr std::size_t kWordsMax = 64, kWordBytesMax = 4096;  ///< of a command

/// A time that a device spends on a release has an end: what is longer, or nothing, is refused where it is written.
[[nodiscard]] Millis read_time(ObjectReader& reader, std::string_view key, Millis fallback, Millis most);
/// Bytes, as a number or a text with a unit; 0 when absent.
[[nodiscard]] std::uint64_t read_size(ObjectReader& reader, std::string_view key);

/// @param strict  unknown keys are refused, here and below
[[nodiscard]] Golden read_golden(boost::json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults);
[[nodiscard]] Shadow read_shadow(boost::json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults);
/// Keys without a value of their own are left out: a release that says no more than before keeps its digest.
[[nodiscard]] boost::json::object golden_json(Golden const& golden);
[[nodiscard]] boost::json::object shadow_json(Shadow const& shadow);

}  // namespace fleet::wire
