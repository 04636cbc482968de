#include "agent/conditions/zone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kFileMax = 1024 * 1024;
constexpr std::size_t kHeader = 44;
constexpr std::int64_t kMinute = 60'000;
constexpr std::array<std::string_view, 7> kDays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/// Big-endian, two's complement.
std::int64_t number_at(std::string_view data, std::size_t at, std::size_t bytes) {
  std::uint64_t value = (static_cast<unsigned char>(data[at]) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < bytes; ++i) value = (value << 8) | static_cast<unsigned char>(data[at + i]);
  return static_cast<std::int64_t>(value);
}

struct Counts {
  std::size_t utc, standard, leaps, transitions, types, chars;
};
Counts counts_at(std::string_view data, std::size_t at) {
  auto const n = [&](std::size_t i) { return static_cast<std::size_t>(number_at(data, at + 20 + 4 * i, 4)); };
  return {n(0), n(1), n(2), n(3), n(4), n(5)};
}
std::size_t body_size(Counts const& c, std::size_t time) {
  return c.transitions * time + c.transitions + c.types * 6 + c.chars + c.leaps * (time + 4) + c.standard + c.utc;
}

Result<int> minutes_of(std::string const& text) {
  bool const shape = text.size() == 5 && text[2] == ':' && text.find_first_not_of("0123456789:") == std::string::npos;
  int const minutes = shape ? ((text[0] - '0') * 10 + (text[1] - '0')) * 60 + (text[3] - '0') * 10 + (text[4] - '0') : -1;
  if (minutes < 0 || minutes > 24 * 60 || (text[3] - '0') > 5) return Error{Kind::bad_input, "bad_window", fmt::format("'{}' is no HH:MM", text)};
  return minutes;
}

}  // namespace

Result<std::int32_t> utc_offset(Fs& fs, std::string const& zone, SysTime at) {
  Error const unknown{Kind::not_found, "unknown_zone", fmt::format("time zone '{}' is not known on this device", zone), "install tzdata"};
  if (!is_safe_relative_path(zone)) return unknown;
  auto const read = fs.read("/usr/share/zoneinfo/" + zone, kFileMax);
  if (!read) return unknown;
  std::string_view const data = *read;
  Error const damaged{Kind::corrupt, "bad_zone_file", fmt::format("the file of time zone '{}' is damaged", zone)};
  if (data.size() < kHeader || !data.starts_with("TZif") || data[4] < '2') return damaged;
  auto const second = kHeader + body_size(counts_at(data, 0), 4);  // the 64-bit block follows the 32-bit one
  if (data.size() < second + kHeader) return damaged;
  auto const counts = counts_at(data, second);
  auto const body = second + kHeader;
  if (counts.types == 0 || counts.transitions > 10'000 || data.size() < body + body_size(counts, 8)) return damaged;
  auto const types = body + counts.transitions * 9;
  auto const now = to_unix_ms(at) / 1000;
  std::size_t type = 0;
  for (std::size_t i = 0; i < counts.transitions && number_at(data, body + i * 8, 8) <= now; ++i)
    type = static_cast<unsigned char>(data[body + counts.transitions * 8 + i]);
  if (type >= counts.types) return damaged;
  return static_cast<std::int32_t>(number_at(data, types + type * 6, 4));
}

Result<bool> in_window(Fs& fs, wire::Window const& window, SysTime at) {
  FLEET_TRY(auto const offset, utc_offset(fs, window.zone, at));
  FLEET_TRY(auto const from, minutes_of(window.from));
  FLEET_TRY(auto const to, minutes_of(window.to));
  auto const local = at + std::chrono::seconds{offset};
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
