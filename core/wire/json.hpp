#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Reading JSON from outside: one place for limits, types and error texts. For .cpp files only: it pulls in Boost.JSON.
namespace fleet::wire {

/// Parses at most `limit_bytes`, 32 levels, no duplicate keys, no number beyond a double (it would be infinite, which no JSON can say).
/// @errors bad_input, too_large
[[nodiscard]] Result<boost::json::value> parse_json(std::string_view text, std::size_t limit_bytes);

/// Reads the members of one object and collects every fault with its JSON pointer, so that one answer names them all.
class ObjectReader {
public:
  /// @param value  must be an object, or a fault is noted at `pointer`
  ObjectReader(boost::json::value const& value, std::string pointer, std::vector<FieldError>& faults);

  [[nodiscard]] std::string text(std::string_view key, std::size_t max, std::string fallback);
  [[nodiscard]] std::string required_text(std::string_view key, std::size_t max);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback);
  [[nodiscard]] std::int64_t required_integer(std::string_view key, std::int64_t min, std::int64_t max);
  [[nodiscard]] double number(std::string_view key, double fallback);
  [[nodiscard]] bool boolean(std::string_view key, bool fallback);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key, std::size_t max_items, std::size_t max_each);
  [[nodiscard]] std::optional<SysTime> time(std::string_view key);
  [[nodiscard]] std::optional<Millis> duration(std::string_view key);
  /// Values must be texts. Whole numbers and booleans are taken as their text; other numbers are refused, because how they were written (`1.10`)
  /// is not known any more.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> text_map(std::string_view key, std::size_t max_items, std::size_t max_each);
  /// The member, or null when absent.
  [[nodiscard]] boost::json::value const* find(std::string_view key);
  [[nodiscard]] boost::json::array const* array(std::string_view key, std::size_t max_items);
  [[nodiscard]] std::string pointer(std::string_view key) const;
  void fault(std::string_view key, std::string detail);
  /// Notes a fault for every member that was never asked for, with the nearest known name as a hint.
  void refuse_unknown();
  [[nodiscard]] bool valid() const { return object_ != nullptr; }

private:
  boost::json::object const* object_ = nullptr;
  std::string pointer_;
  std::vector<FieldError>* faults_;
  std::vector<std::string_view> asked_;
};

/// bad_input with all faults, or nothing.
[[nodiscard]] Result<void> no_faults(std::vector<FieldError> const& faults, std::string_view what);

}  // namespace fleet::wire
