#pragma once

#include <string>
#include <string_view>

namespace boost::json {
class value;
class object;
}  // namespace boost::json

/// JSON as text, and the reading of objects that a server sent: what is missing or of another type reads as empty, because a newer
/// server may send more or other than this program knows.
namespace fleet::render {

/// Members in their order; numbers in their shortest form. `indent` 0: all in one line.
[[nodiscard]] std::string json_text(boost::json::value const& value, int indent);

/// The member at a dotted path (`stage.index`); null when there is none.
[[nodiscard]] boost::json::value const& member(boost::json::value const& value, std::string_view path);
/// A text as it is, a number or boolean as its text, anything else empty.
[[nodiscard]] std::string text_of(boost::json::value const& value);
[[nodiscard]] std::string text_at(boost::json::value const& value, std::string_view path);
/// A number, or `fallback`.
[[nodiscard]] double number_at(boost::json::value const& value, std::string_view path, double fallback = 0);
/// A number of evidence with four digits (`333.3`, `1.2e+05`); empty when it is none.
[[nodiscard]] std::string short_number_at(boost::json::value const& value, std::string_view path);
/// `a,b` of an array, `k=v,l=w` of an object.
[[nodiscard]] std::string joined(boost::json::value const& value);

}  // namespace fleet::render
