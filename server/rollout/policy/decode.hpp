#pragma once

#include "core/wire/json.hpp"
#include "server/rollout/policy/policy.hpp"

/// The parts of decode_policy. For this folder's .cpp files only: it pulls in Boost.JSON.
namespace fleet::rollout {

using wire::ObjectReader;
using Faults = std::vector<FieldError>;

inline constexpr std::size_t kItemsMax = 64;
inline constexpr std::int64_t kCountMax = 100'000'000;

void read_stages(ObjectReader& reader, Policy& policy, Faults& faults);
void read_gates(ObjectReader& reader, Policy& policy, Faults& faults);
void read_device(ObjectReader& reader, Policy& policy, Faults& faults);
void read_strata(ObjectReader& reader, Policy& policy);
void read_limits(ObjectReader& reader, Policy& policy, Faults& faults);
/// Windows, freezes, the start.
void read_times(ObjectReader& reader, Policy& policy, Faults& faults);
/// Approvals, holdback, priority, `ab`, `emergency`. After the stages.
void read_terms(ObjectReader& reader, Policy& policy, Faults& faults);

/// Bounds of a number; `open` ones are no values themselves.
struct Between {
  double low = 0, high = 0;
  bool open_low = false, open_high = false;
};
/// A number within `between`, or a fault that tells both.
[[nodiscard]] double read_number(ObjectReader& reader, std::string_view key, double fallback, Between const& between);
/// One number, or a list of them: `3` or `[5, 3, 2]`. Nothing but a fault where it is neither, or empty.
[[nodiscard]] std::vector<double> read_numbers(ObjectReader& reader, std::string_view key, Between const& between, Faults& faults);
/// `"2%"` as .02; a bare number is refused: 2 and 0.02 could both be meant. Above 0 and below 1, 0 where `zero` says so.
[[nodiscard]] double read_share(ObjectReader& reader, std::string_view key, double fallback, bool zero = false);
/// `10` or `"10%"`.
[[nodiscard]] std::optional<double> read_percent(ObjectReader& reader, std::string_view key);
/// 0 to 366 days.
[[nodiscard]] Millis read_duration(ObjectReader& reader, std::string_view key);
/// One of two words; the first stands where none is written.
template <class Word>
[[nodiscard]] Word read_either(ObjectReader& reader, std::string_view key, std::string_view first_name, Word first, std::string_view second_name, Word second) {
  auto const written = reader.text(key, 16, std::string(first_name));
  if (written == second_name) return second;
  if (written != first_name) reader.fault(key, "is " + std::string(first_name) + " or " + std::string(second_name) + ", got '" + written + "'");
  return first;
}

}  // namespace fleet::rollout
