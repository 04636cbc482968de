#include "agent/conditions/window.hpp"

#include "core/base/zone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::array<std::string_view, 7> kDays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

Result<int> minutes_of(std::string const& text) {
  bool const shape = text.size() == 5 && text[2] == ':' && text.find_first_not_of("0123456789:") == std::string::npos;
  int const minutes = shape ? ((text[0] - '0') * 10 + (text[1] - '0')) * 60 + (text[3] - '0') * 10 + (text[4] - '0') : -1;
  if (minutes < 0 || minutes > 24 * 60 || (text[3] - '0') > 5) return Error{Kind::bad_input, "bad_window", fmt::format("'{}' is no HH:MM", text)};
  return minutes;
}

}  // namespace

Result<bool> in_window(Fs& fs, wire::Window const& window, SysTime at) {
  FLEET_TRY(auto const zone, Zone::load(fs, window.zone));
  FLEET_TRY(auto const from, minutes_of(window.from));
  FLEET_TRY(auto const to, minutes_of(window.to));
  auto const local = at + std::chrono::seconds{zone.offset_at(at)};
  auto const day = std::chrono::floor<std::chrono::days>(local);
  auto const minute = (local - day).count() / kMinute;
  auto const allowed = [&](auto const& start) {
    auto const name = kDays[std::chrono::weekday{start}.c_encoding()];
    return window.days.empty() || std::find(window.days.begin(), window.days.end(), name) != window.days.end();
  };
  if (from < to) return allowed(day) && minute >= from && minute < to;
  return (allowed(day) && minute >= from) || (allowed(day - std::chrono::days{1}) && minute < to);
}

}  // namespace fleet::agent
